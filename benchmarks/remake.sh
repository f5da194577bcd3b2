#!/usr/bin/env bash
# Makes folders of results again, each by the command in its origin.json: benchmarks/remake.sh benchmarks/day ...
# Without folders: the comparisons, which take about an hour on two cores. A folder whose command fails stays as it was.
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=${LMAAS:-.venv/bin/lmaas}
if [ $# -eq 0 ]; then
  set -- benchmarks/{static,mini,day,scarce,abundant,public,population,city} benchmarks/days-200/{day,scarce,abundant,public,static}
fi
for folder; do
  folder=${folder%/}
  command=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["command"])' "$folder/origin.json")
  [[ $command == "lmaas "*" --out $folder" ]] || { echo "$folder: its command writes elsewhere: $command" >&2; exit 2; }
  before=$(mktemp -d)
  mv "$folder" "$before/"
  # shellcheck disable=SC2086 # the arguments of the command are words
  if ! $lmaas ${command#lmaas }; then
    rm -rf "$folder"
    mv "$before/$(basename "$folder")" "$folder"
    exit 1
  fi
  for file in "$folder"/*; do # the folder keeps what it held
    [ -e "$before/$(basename "$folder")/$(basename "$file")" ] || rm -r "$file"
  done
  rm -r "$before"
done
