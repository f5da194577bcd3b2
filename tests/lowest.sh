#!/bin/sh
# Runs the fast tests with the lowest version of every requirement that pyproject.toml allows:
#   sh tests/lowest.sh PYTHON UV TORCH     such as: sh tests/lowest.sh python3.11 uv==0.13.9 2.13.0
# The environment lies in a temporary folder that it removes. TESTS may name files and options for pytest.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
"$1" -m venv "$work/venv"
python="$work/venv/bin/python"
pip="$python -m pip install --quiet --disable-pip-version-check --no-compile"

$pip "$2"
echo torch > "$work/excluded.txt" # installed below, without CUDA where the index has such a build
echo "pyparsing<3.3" > "$work/constraints.txt" # matplotlib 3.9 warns with newer ones, and warnings are errors
"$work/venv/bin/uv" pip compile pyproject.toml --extra train --extra view --extra test --resolution lowest-direct \
  --excludes "$work/excluded.txt" --constraint "$work/constraints.txt" --python-version 3.11 --quiet --output-file "$work/lowest.txt"
cat "$work/lowest.txt"
$pip --no-deps --requirement "$work/lowest.txt"
$pip "torch==$3"
$pip --no-deps "setuptools>=77"
$pip --no-deps --no-build-isolation --editable .
# shellcheck disable=SC2086 # options, on purpose apart
"$python" -m pytest -n 2 --dist loadfile --quiet -m "not heavy" -W default ${TESTS:-}
