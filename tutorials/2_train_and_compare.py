"""Tutorial 2: train PPO from scratch and compare it with others on held-out days.

Run: python tutorials/2_train_and_compare.py (a minute and a half), or with --steps 3072 for a short trial.
`lmaas train` and `lmaas compare` do the same from a shell.
"""

import argparse
import tempfile
from pathlib import Path

from lmaas_agents import load_policy
from lmaas_train import evaluate
from lmaas_train.cli.train import Train, train

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", type=int, default=600_000, help="periods to train on")
parser.add_argument("--days", type=int, default=40, help="held-out days")
parser.add_argument("--out", type=Path, default=None, help="new folder for the results (default: a temporary one)")
args = parser.parse_args()
folder = args.out or Path(tempfile.mkdtemp(prefix="lmaas-"))

# A perceptron maps observations to prices. It learns from profits alone: no plan, no teacher, no search.
run = train(
    Train(
        scenario="day",
        steps=args.steps,
        seed=1,  # training days differ from those of other seeds, from tuning days and from held-out days
        eval_every=max(1, args.steps // 4),
        tuning_days=min(40, args.days),
        eval_days=args.days,
        out=folder / "ppo",
    )
)
found = evaluate(
    [run, "day-guided", "random"], scenario="day", days=args.days, sell_anchors=False, out=folder / "compare"
)
print(found)
print(f"\n{load_policy(run)} earns {found['ppo'].share_of_imp:.3f} of IMP")
