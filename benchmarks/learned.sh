#!/usr/bin/env bash
# Trains guided sellers from several seeds and scores them on 200 held-out days: benchmarks/learned (hours on two cores).
# RUNS/MARKET/WAY/seedK holds the runs; those that are there are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/learned-$(date +%Y%m%d-%H%M%S)}
results=${2:-runs/learned-results-$(date +%Y%m%d-%H%M%S)} # benchmarks/learned, to make the tables that ship again
train() { # RUNS MARKET WAY SEED STEPS CONFIG, where MARKET is a scenario or SCENARIO-POPULATION and CONFIG may be none
  local out="$1/$2/$3/seed$4" scenario=${2%-*} population=0 config=()
  [ "$scenario" = "$2" ] || population=${2##*-}
  [ "$6" = none ] || config=(--config "$6")
  [ -e "$out/policy.json" ] || .venv/bin/lmaas train sb3 --scenario "$scenario" --population-seed "$population" --seed "$4" \
    --steps "$5" --eval-every 20000 --eval-days 200 --out "$out" "${config[@]}" >&2
}
export -f train
{
  for seed in $(seq 10); do
    echo "$runs day ppo $seed 200000 none"
    echo "$runs scarce ppo $seed 200000 none"
    echo "$runs public ppo $seed 200000 none"
    echo "$runs abundant ppo $seed 100000 none"
    echo "$runs static ppo $seed 20000 none"
  done
  echo "$runs population ppo 1 400000 none"
  for population in 1 2 3 4 5; do
    echo "$runs day-$population ppo 1 200000 none"
    echo "$runs scarce-$population ppo 1 200000 none"
  done
  for seed in 1 2 3; do
    echo "$runs day flat $seed 200000 train/configs/ppo-flat.yaml"
    for way in set-scratch no-shaping no-critic-first no-snapping; do
      echo "$runs day $way $seed 200000 benchmarks/ablation/$way.yaml"
    done
    for way in imitation untrained; do echo "$runs day $way $seed 1 benchmarks/ablation/$way.yaml"; done
  done
} | xargs -P 2 -L 1 bash -c 'train "$@"' _

evaluate() { .venv/bin/lmaas evaluate --scenario "$1" --out "$results/$2" --runs "${@:3}"; }
evaluate day day "$runs/day/ppo"
evaluate scarce scarce "$runs/scarce/ppo"
evaluate abundant abundant "$runs/abundant/ppo"
evaluate static static "$runs/static/ppo"
evaluate public public "$runs/public/ppo" --sellers public-imp public-lookahead
for population in 1 2 3 4 5; do
  for scenario in day scarce; do
    evaluate $scenario "populations/$scenario-$population" "$runs/$scenario-$population/ppo" --population-seed $population --days 40
  done
done
evaluate population population "$runs/population/ppo" --sellers cost-plus
while read -r customers days; do
  evaluate population "population-$customers" "$runs/population/ppo" --sellers cost-plus --customers "$customers" --days "$days" < /dev/null
done <<< $'12 100\n48 60\n200 10'
ways=("$runs"/day/{ppo,imitation,untrained,flat,set-scratch,no-shaping,no-critic-first,no-snapping})
evaluate day ablation "${ways[@]}" --sellers lookahead
evaluate day ablation-no-search "${ways[@]}" --sellers lookahead --searches 0
.venv/bin/lmaas study off-policy --algorithms sac --seeds 3 --out "$results/off-policy/sac"
