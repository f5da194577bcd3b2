#!/usr/bin/env bash
# PPO of Stable-Baselines3 with many lanes and few epochs beside few lanes and many epochs: benchmarks/wide (about 5 minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-runs/wide-$(date +%Y%m%d-%H%M%S)} # cells that are finished there are not run again
.venv/bin/lmaas sweep benchmarks/sweeps/wide.yaml --out "$work" # one cell at a time: their times count
.venv/bin/lmaas evaluate --scenario day --runs "$work"/runs/day/{flat,wide} --sellers lookahead --out "${2:-$work/results}"
