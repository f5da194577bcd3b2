#!/usr/bin/env bash
# Trains PPO from scratch and scores it on 200 held-out days: benchmarks/learned/scratch-* (hours).
# WORK holds the sweeps; cells that are finished there are not run again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=.venv/bin/lmaas
work=${1:-runs/scratch-$(date +%Y%m%d-%H%M%S)}
results=${2:-$work/results} # benchmarks/learned, to make the tables that ship again
$lmaas sweep benchmarks/sweeps/scratch.yaml --out "$work/scratch" # one cell at a time: their times count
$lmaas sweep benchmarks/sweeps/scratch-ablation.yaml --jobs 2 --out "$work/ablation"
for scenario in day scarce; do
  $lmaas evaluate --scenario $scenario --runs "$work/scratch/runs/$scenario/ppo" --sellers lookahead fixed --out "$results/scratch-$scenario"
done
$lmaas evaluate --scenario day --runs "$work"/ablation/runs/day/{short,no-copies,middle-price,large-batches} --sellers fixed --out "$results/scratch-ablation"
$lmaas sweep benchmarks/sweeps/scratch-abundant.yaml --jobs 2 --out "$work/abundant"
$lmaas evaluate --scenario abundant --runs "$work/abundant/runs/abundant"/{perceptron,set,attention} --sellers lookahead --out "$results/scratch-abundant"
$lmaas sweep benchmarks/sweeps/scratch-city.yaml --out "$work/city"
mkdir -p "$results/scratch-city" && cp "$work"/city/{summary.csv,origin.json} "$results/scratch-city"
