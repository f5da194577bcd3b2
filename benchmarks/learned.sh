#!/usr/bin/env bash
# Trains guided sellers from several seeds and scores them on 200 held-out days: benchmarks/learned (hours on two cores).
# WORK holds the sweeps; cells that are finished there are not run again.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=.venv/bin/lmaas
work=${1:-runs/learned-$(date +%Y%m%d-%H%M%S)}
results=${2:-$work/results} # benchmarks/learned, to make the tables that ship again
for sweep in learned learned-ablation learned-populations learned-population; do
  $lmaas sweep benchmarks/sweeps/$sweep.yaml --jobs 2 --out "$work/$sweep"
done

evaluate() { $lmaas evaluate --scenario "$1" --out "$results/$2" --runs "${@:3}"; }
for scenario in day scarce abundant static; do evaluate $scenario $scenario "$work/learned/runs/$scenario/ppo"; done
evaluate public public "$work/learned/runs/public/ppo" --sellers public-imp public-lookahead
for population in 1 2 3 4 5; do
  for scenario in day scarce; do
    evaluate $scenario "populations/$scenario-$population" "$work/learned-populations/runs/$scenario-$population/ppo" \
      --population-seed $population --days 40
  done
done
strangers=$work/learned-population/runs/population/ppo
evaluate population population "$strangers" --sellers cost-plus
while read -r customers days; do
  evaluate population "population-$customers" "$strangers" --sellers cost-plus --customers "$customers" --days "$days" < /dev/null
done <<< $'12 100\n48 60\n200 10'
ways=("$work/learned/runs/day/ppo" "$work"/learned-ablation/runs/day/{imitation,untrained,flat,set-scratch,no-shaping,no-critic-first,no-snapping})
evaluate day ablation "${ways[@]}" --sellers lookahead
evaluate day ablation-no-search "${ways[@]}" --sellers lookahead --searches 0
