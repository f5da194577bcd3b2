#!/usr/bin/env bash
# Trains PPO from scratch beside a rival that replies, and in self-play, and scores both: benchmarks/rivals/{ppo,self-play}.
# Two hours on one core. RUNS/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=${LMAAS:-.venv/bin/lmaas}
runs=${1:-runs/rivals-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results} # benchmarks/rivals, to make the tables that ship again
seeds=${3:-10}
export LMAAS_THREADS=1
train() { # WAY SEED STEPS
  [ -e "$runs/$1/seed$2/policy.json" ] || $lmaas train rivals --steps "$3" --seed "$2" --eval-every 40000 --tuning-days 20 \
    --eval-days 2 --config "benchmarks/ablation/rivals/$1.yaml" --out "$runs/$1/seed$2"
}
for seed in $(seq "$seeds"); do train ppo-withdraw "$seed" 400000; done
[ -e "$results/ppo" ] || $lmaas evaluate rivals --days 200 --runs "$runs/ppo-withdraw" --sellers predictive-imp planner \
  --out "$results/ppo"
train self-play-withdraw 1 200000
policy=$runs/self-play-withdraw/seed1 # what it earns beside itself, and what others would earn in its place
[ -e "$results/self-play" ] || $lmaas compare rivals --days 20 --sellers "$policy" planner predictive-imp fixed cost-plus \
  --rival "$policy" --out "$results/self-play"
