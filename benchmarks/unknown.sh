#!/usr/bin/env bash
# Trains sellers for unknown markets and scores them with the references: benchmarks/unknown, benchmarks/drift.
# About an hour on two cores. RUNS/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/unknown-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results}
ppo() { # WAY SEED OPTIONS...
  [ -e "$runs/$1/seed$2/policy.json" ] || .venv/bin/lmaas train --scenario unknown --steps 1500000 --eval-every 150000 \
    --eval-days 2 --seed "$2" --out "$runs/$1/seed$2" "${@:3}"
}
for seed in $(seq 5); do
  [ -e "$runs/in-context/seed$seed/policy.json" ] || .venv/bin/lmaas train in-context --seed "$seed" --out "$runs/in-context/seed$seed"
done
for seed in 1 2; do
  ppo ppo "$seed"
  ppo ppo-stack "$seed" --config benchmarks/ablation/unknown/stack.yaml
done
.venv/bin/lmaas compare unknown --days 200 --sellers prior-plan own-plan thompson gp-ucb cost-plus random --out "$runs/compare"
.venv/bin/lmaas study unknown --beside "$runs/compare" --sellers --runs "$runs"/{in-context,ppo,ppo-stack} --out "$results/unknown"
.venv/bin/lmaas study unknown drift --days 40 --sellers thompson gp-ucb cost-plus random --out "$results/drift"
