#!/bin/sh
# Trains and plays LMaaS-v0 in RL Zoo with the settings of train/zoo/ppo.yml:
#   sh tests/ecosystem/zoo.sh [PYTHON]
# RL Zoo has requirements of its own, so it gets an environment of its own, in a temporary folder that is removed.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${1:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

mkdir "$work/tree" # a build writes into the folder that it builds
(cd "$root" && cp -R pyproject.toml README.md LICENSE lmaas_env agents train "$work/tree")
"$python" -m venv "$work/venv"
pip="$work/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0 # first and by exact version, so that pip takes the build that is wanted (README, "Installing torch")
$pip rl_zoo3==2.9.2 requests "$work/tree" # requests: which `enjoy` imports and RL Zoo does not ask for

cd "$work"
export OMP_NUM_THREADS=1 CUDA_VISIBLE_DEVICES=
"$work/venv/bin/python" -m rl_zoo3.train --algo ppo --env LMaaS-v0 --gym-packages lmaas_env \
  --conf-file "$root/train/zoo/ppo.yml" -n 2000 --eval-freq 1000 --seed 1 -f logs > train.log 2>&1 || { cat train.log >&2; exit 1; }
for file in LMaaS-v0.zip best_model.zip evaluations.npz LMaaS-v0/vecnormalize.pkl; do
  [ -s "logs/ppo/LMaaS-v0_1/$file" ] || { cat train.log >&2; echo "zoo.sh: $file is missing" >&2; exit 1; }
done
"$work/venv/bin/python" -m rl_zoo3.enjoy --algo ppo --env LMaaS-v0 --gym-packages lmaas_env -f logs -n 48 --no-render > play.log 2>&1 \
  || { cat play.log >&2; exit 1; }
# Two days of 24 hours each, as RL Zoo counts them.
[ "$(grep -c '^Episode Length 24$' play.log)" -eq 2 ] || { cat play.log >&2; echo "zoo.sh: these are no two days" >&2; exit 1; }
grep '^Mean reward' play.log
