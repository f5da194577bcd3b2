#!/usr/bin/env bash
# Trains ten seeds of the policies that ship, for every scenario, and writes benchmarks/learned.csv (about an hour on two cores).
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/learned-$(date +%Y%m%d-%H%M%S)} # a folder of runs, SCENARIO/seedK; those that are there are not trained again
train() {
  [ -e "$1/$2/seed$3/policy.json" ] || .venv/bin/lmaas train --scenario "$2" --seed "$3" --steps "$4" --eval-every 50000 --eval-days 40 --out "$1/$2/seed$3" >&2
}
export -f train
for case in "day 200000" "scarce 200000" "public 200000" "static 20000" "abundant 100000"; do
  read -r scenario steps <<< "$case"
  for seed in $(seq 10); do echo "$runs $scenario $seed $steps"; done
done | xargs -P 2 -L 1 bash -c 'train "$@"' _
.venv/bin/python - "$runs" > benchmarks/learned.csv <<'PYTHON'
import json, pathlib, sys
print("scenario,training_seed,steps,mean_day_profit,standard_error,held_out_days")
for path in sorted(pathlib.Path(sys.argv[1]).glob("*/seed*/policy.json"), key=lambda it: (it.parts[-3], int(it.parts[-2][4:]))):
    about = json.loads(path.read_text())
    score = about["scores"]["held_out"]
    print(path.parts[-3], about["training_seed"], about["steps"], score["mean_day_profit"], score["standard_error"], score["days"], sep=",")
PYTHON
