#!/usr/bin/env bash
# Trains PPO from scratch beside rivals and scores it: benchmarks/rivals/ppo. An hour on one core.
# RUNS/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=${LMAAS:-.venv/bin/lmaas}
runs=${1:-runs/rivals-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results} # benchmarks/rivals, to make the tables that ship again
seeds=${3:-5}
export LMAAS_THREADS=1
train() { # WAY SEED
  [ -e "$runs/$1/seed$2/policy.json" ] || $lmaas train rivals --steps 400000 --seed "$2" --eval-every 40000 --tuning-days 20 \
    --eval-days 2 --config "benchmarks/ablation/rivals/$1.yaml" --out "$runs/$1/seed$2"
}
for seed in $(seq "$seeds"); do train ppo-withdraw "$seed"; done
[ -e "$results/ppo" ] || $lmaas evaluate rivals --runs "$runs/ppo-withdraw" --sellers predictive-imp planner --out "$results/ppo"
