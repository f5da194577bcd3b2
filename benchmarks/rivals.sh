#!/usr/bin/env bash
# Trains PPO from scratch beside a rival that replies, and in self-play, and scores them: benchmarks/rivals/{ppo,perceptron,perceptron-long,
# self-play,self-play-seeds}. Five hours on one core. WORK holds the sweep; cells that are finished there are not run again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=${LMAAS:-.venv/bin/lmaas}
work=${1:-runs/rivals-$(date +%Y%m%d-%H%M%S)}
results=${2:-$work/results} # benchmarks/rivals, to make the tables that ship again
$lmaas sweep benchmarks/sweeps/rivals.yaml --out "$work"
[ -e "$results/ppo" ] || $lmaas evaluate rivals --days 200 --runs "$work/runs/rivals/ppo-withdraw" \
  --sellers predictive-imp planner --out "$results/ppo"
$lmaas sweep benchmarks/sweeps/rivals-perceptron.yaml --out "$work/perceptron"
mkdir -p "$results/perceptron-long" && cp "$work"/perceptron/{summary.csv,sweep.yaml,origin.json} "$results/perceptron-long"
[ -e "$results/perceptron" ] || $lmaas evaluate rivals --days 200 --runs "$work/perceptron/runs/rivals/perceptron" \
  --sellers predictive-imp planner --out "$results/perceptron"
policies=$work/runs/rivals/self-play-withdraw
[ -e "$results/self-play-seeds" ] || $lmaas compare rivals --days 20 --sellers "$policies"/seed* imp --out "$results/self-play-seeds"
policy=$policies/seed1 # what it earns beside itself, and what others would earn in its place
[ -e "$results/self-play" ] || $lmaas compare rivals --days 20 --sellers "$policy" planner predictive-imp fixed cost-plus \
  --rival "$policy" --out "$results/self-play"
