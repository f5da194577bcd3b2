#!/bin/sh
# Builds the sdist and the wheel, and tries the wheel outside the tree on each Python given (default python3):
#   sh tests/package.sh python3.11 python3.13
# All that it makes lies in a temporary folder that it removes; the tree stays as it is. The wheel gets the
# dependencies in the versions of requirements.txt.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
[ $# -gt 0 ] || set -- python3
first=$(command -v "$1") || { echo "package.sh: $1 is not a command" >&2; exit 2; }
quiet="--quiet --disable-pip-version-check"

mkdir "$work/tree" # a build writes into the folder that it builds
(cd "$root" && cp -R pyproject.toml README.md LICENSE lmaas_env agents train "$work/tree")
find "$work/tree" -name __pycache__ -prune -exec rm -r {} +

"$first" -m venv "$work/builder"
"$work/builder/bin/python" -m pip install $quiet build
"$work/builder/bin/python" -m build --outdir "$work/dist" "$work/tree" > "$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; exit 1; }
! grep -v byte-compiling "$work/build.log" | grep -i -E "warning|deprecat" || { echo "package.sh: the build is not silent" >&2; exit 1; }
wheel=$(ls "$work"/dist/*.whl)
# `build` makes the wheel from the sdist; the tree has to give the same one, or the sdist lacks something.
"$work/builder/bin/python" -m build --wheel --outdir "$work/direct" "$work/tree" > "$work/build.log" 2>&1
"$work/builder/bin/python" "$root/tests/package_check.py" contents "$wheel" "$work"/direct/*.whl "$work/tree"

sed -n 's/^\([^ #]*==[^ ]*\).*/\1/p' "$root/requirements.txt" > "$work/constraints.txt" # no hashes: the wheel has none
for python; do
  "$python" -m venv "$work/venv"
  # shellcheck disable=SC2086 # options, on purpose apart
  "$work/venv/bin/python" -m pip install $quiet --constraint "$work/constraints.txt" "$wheel"
  mkdir "$work/empty"
  (cd "$work/empty" && "$work/venv/bin/python" -W error -P "$root/tests/package_check.py" smoke)
  rm -r "$work/venv" "$work/empty"
done
