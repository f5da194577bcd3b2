#!/usr/bin/env bash
# Trains sellers for unknown markets and scores them with the references: benchmarks/unknown, benchmarks/drift.
# About three hours on two cores. WORK holds the sweep; cells that are finished there are not run again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=.venv/bin/lmaas
work=${1:-runs/unknown-$(date +%Y%m%d-%H%M%S)}
results=${2:-$work/results}
$lmaas sweep benchmarks/sweeps/unknown.yaml --jobs 2 --out "$work"
$lmaas compare unknown --days 200 --sellers prior-plan own-plan informed-lookahead thompson gp-ucb cost-plus random \
  --out "$work/compare"
$lmaas study unknown --beside "$work/compare" --sellers --out "$results/unknown" \
  --runs "$work"/runs/unknown/{in-context,in-context-stack,in-context-last,ppo,ppo-stack,ppo-recurrent,ppo-residual}
for level in unknown-easy unknown-hard drift; do
  $lmaas study unknown $level --days 40 --sellers thompson gp-ucb cost-plus random --out "$results/$level"
done
