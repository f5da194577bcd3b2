"""Tutorial 7: clone a seller from a dataset of its days, with torch only.

Run: python tutorials/7_behaviour_cloning.py (minutes), or with --size tiny --epochs 20 --days 2 for a short trial. It
needs the extras `train` and `datasets`. `lmaas dataset` writes the same dataset from a shell.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from lmaas_train import batched, evaluate
from lmaas_train.cli.dataset import Dataset, dataset
from torch import nn

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--teacher", default="lookahead", help="imp, lookahead, or any other seller")
parser.add_argument("--size", default="small", help="tiny, small, medium or large")
parser.add_argument("--epochs", type=int, default=100, help="passes over the dataset")
parser.add_argument("--days", type=int, default=40, help="held-out days")
args = parser.parse_args()
torch.set_num_threads(1)  # more threads slow down networks of this size
torch.manual_seed(1)

# The teacher's days come from training seeds; they are neither tuning nor held-out days.
with tempfile.TemporaryDirectory(prefix="lmaas-") as folder:
    written = dataset(Dataset(scenario="day", seller=args.teacher, size=args.size, out=Path(folder)))
    os.environ["MINARI_DATASETS_PATH"] = folder  # where minari looks for datasets
    import minari

    days = list(minari.load_dataset(written["id"]).iterate_episodes())
seen = torch.from_numpy(np.concatenate([day.observations[:-1] for day in days]))  # the last one follows the last action
actions = torch.from_numpy(np.concatenate([day.actions for day in days]))

policy = nn.Sequential(
    nn.Linear(seen.shape[1], 128),
    nn.ReLU(),
    nn.Linear(128, 128),
    nn.ReLU(),
    nn.Linear(128, actions.shape[1]),
    nn.Tanh(),
)
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3, weight_decay=1e-4)
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, args.epochs)
for epoch in range(args.epochs):
    losses = []
    for rows in torch.randperm(len(seen)).split(256):
        loss = (policy(seen[rows]) - actions[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    schedule.step()
    if epoch % max(1, args.epochs // 5) == 0:
        print(f"epoch {epoch:4d}  mean squared error {np.mean(losses):.4f}")


def clone(observation):
    """Return the prices of the network, as actions."""
    with torch.no_grad():
        return policy(torch.as_tensor(observation)).numpy()


found = evaluate({"clone": batched(clone), args.teacher: args.teacher}, "day", days=args.days, sell_anchors=False)
print(found)
share = found["clone"].profit.mean / found[args.teacher].profit.mean
print(f"\nThe clone of {args.teacher} earns {share:.3f} of its teacher's profit, from {len(days)} logged days.")
