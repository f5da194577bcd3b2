#!/usr/bin/env bash
# Trains PPO from scratch and scores it on 200 held-out days: benchmarks/learned/scratch-* (an hour on two cores).
# RUNS/SCENARIO/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/scratch-$(date +%Y%m%d-%H%M%S)}
results=${2:-$runs/results} # benchmarks/learned, to make the tables that ship again
train() { # RUNS SCENARIO WAY SEED STEPS
  local config=()
  [ "$3" = ppo ] || [ "$3" = short ] || config=(--config "benchmarks/ablation/scratch/$3.yaml")
  [ -e "$1/$2/$3/seed$4/policy.json" ] || .venv/bin/lmaas train --scenario "$2" --seed "$4" --steps "$5" --eval-days 2 \
    --out "$1/$2/$3/seed$4" "${config[@]}" >&2
}
export -f train
for seed in $(seq 10); do echo "$runs day ppo $seed 2000000"; done | xargs -P 1 -L 1 bash -c 'train "$@"' _ # their times count
{
  for seed in $(seq 10); do echo "$runs scarce ppo $seed 2000000"; done
  for seed in $(seq 10); do echo "$runs day short $seed 600000"; done
  for way in no-copies middle-price large-batches; do for seed in 1 2 3; do echo "$runs day $way $seed 600000"; done; done
} | LMAAS_THREADS=1 xargs -P 2 -L 1 bash -c 'train "$@"' _
for scenario in day scarce; do
  .venv/bin/lmaas evaluate --scenario $scenario --runs "$runs/$scenario/ppo" --sellers lookahead fixed --out "$results/scratch-$scenario"
done
.venv/bin/lmaas evaluate --scenario day --runs "$runs"/day/{short,no-copies,middle-price,large-batches} --sellers fixed --out "$results/scratch-ablation"
