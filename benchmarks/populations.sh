#!/usr/bin/env bash
# Reference sellers on several populations and scenarios, 40 held-out days each; writes benchmarks/populations.csv (about 6 minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
lmaas=.venv/bin/lmaas
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for scenario in day scarce abundant; do
  for population in 0 1 2 3 4; do
    out="$work/$scenario-$population"
    "$lmaas" compare --scenario "$scenario" --population-seed "$population" --days 40 \
      --sellers lookahead fixed public-imp cost-plus random --out "$out" >&2
    awk -v where="$scenario,$population" 'NR > 1 { print where "," $0 }' "$out/table.csv" >> "$work/rows.csv"
  done
done
{ printf 'scenario,population,'; head -1 "$work/day-0/table.csv"; cat "$work/rows.csv"; } > "$work/populations.csv"
mv "$work/populations.csv" benchmarks/populations.csv
