#!/usr/bin/env bash
# Trains sellers for unknown markets and scores them with the references: benchmarks/unknown, benchmarks/drift.
# About three hours on two cores. RUNS/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/unknown-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results}
seeds=${3:-5}
train() { # WAY SEED COMMAND...
  [ -e "$runs/$1/seed$2/policy.json" ] || .venv/bin/lmaas "${@:3}" --seed "$2" --out "$runs/$1/seed$2"
}
ppo() { # WAY SEED OPTIONS...
  train "$1" "$2" train --scenario unknown --steps 1500000 --eval-every 150000 --eval-days 2 "${@:3}"
}
settings=benchmarks/ablation/unknown
for seed in $(seq "$seeds"); do
  # guided by the plans of those who know the customers, with a recurrent unit, the last eight observations, the last one
  train in-context "$seed" train in-context
  train in-context-stack "$seed" train in-context --config $settings/in-context-stack.yaml
  train in-context-last "$seed" train in-context --config $settings/in-context-last.yaml
  # by reinforcement: from scratch with the last observation, the last eight, a recurrent unit; and from the prior plan
  ppo ppo "$seed"
  ppo ppo-stack "$seed" --config $settings/stack.yaml
  ppo ppo-recurrent "$seed" --config $settings/recurrent.yaml
  ppo ppo-residual "$seed" --config $settings/residual.yaml
done
.venv/bin/lmaas compare unknown --days 200 --sellers prior-plan own-plan informed-lookahead thompson gp-ucb cost-plus random \
  --out "$runs/compare"
.venv/bin/lmaas study unknown --beside "$runs/compare" --sellers --out "$results/unknown" \
  --runs "$runs"/{in-context,in-context-stack,in-context-last,ppo,ppo-stack,ppo-recurrent,ppo-residual}
.venv/bin/lmaas study unknown drift --days 40 --sellers thompson gp-ucb cost-plus random --out "$results/drift"
for level in unknown-easy unknown-hard; do
  .venv/bin/lmaas study unknown $level --days 40 --sellers thompson gp-ucb cost-plus random --out "$results/$level"
done
