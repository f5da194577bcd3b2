#!/usr/bin/env bash
# PPO of Stable-Baselines3 with many lanes and few epochs beside few lanes and many epochs, one run after the other: benchmarks/wide (about 5 minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/wide-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results} # benchmarks/wide, to make the table that ships again
for seed in 1 2 3 4 5; do
  while read -r way steps; do
    .venv/bin/lmaas train sb3 --scenario day --seed "$seed" --config "train/configs/ppo-$way.yaml" --steps "$steps" \
      --eval-every 100000 --tuning-days 40 --eval-days 10 --out "$runs/$way/seed$seed" < /dev/null
  done <<< $'flat 200000\nwide 700000'
done
.venv/bin/lmaas evaluate --scenario day --runs "$runs/flat" "$runs/wide" --sellers lookahead --out "$results"
