"""Tutorial 2: train a PPO seller, then sell held-out days with it beside others.

Run: python tutorials/2_train_and_compare.py (half a minute on an idle machine), or with --steps 3072 to look at it.
`lmaas train` and `lmaas compare` do the same from a shell.
"""

import argparse
import tempfile
from pathlib import Path

from lmaas_agents import load_policy
from lmaas_train.cli.compare import Compare, compare
from lmaas_train.ppo.config import CONFIGS
from lmaas_train.ppo.training import Train, train

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--steps", type=int, default=200_000, help="periods to train on")
parser.add_argument("--days", type=int, default=40, help="held-out days")
parser.add_argument("--out", type=Path, default=None, help="new folder for what is written (default: a temporary one)")
args = parser.parse_args()
folder = args.out or Path(tempfile.mkdtemp(prefix="lmaas-"))

# A perceptron of the observation that starts from nothing: the quickest to train. Without `config` the recipe of the
# policies that ship is taken: customer by customer, it imitates look-ahead IMP first (about three minutes).
run = train(
    Train(
        scenario="day",
        config=CONFIGS / "ppo-flat.yaml",
        steps=args.steps,
        seed=1,  # its days are no other training seed's, no tuning day and no held-out day
        eval_every=max(1, args.steps // 4),
        eval_days=args.days,
        out=folder / "ppo",
    )
)
days = compare(Compare(scenario="day", sellers=(str(run), "day-ppo", "random"), days=args.days, out=folder / "compare"))
share = days["ppo"].day_profit.mean() / days["imp"].day_profit.mean()
print(f"\n{load_policy(run)} earns {share:.3f} of IMP")
