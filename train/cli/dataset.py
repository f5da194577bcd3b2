"""`lmaas dataset`: logged days of a seller as a Minari dataset, for imitation and offline reinforcement learning."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lmaas_train.datasets import (
    MIXED,
    SIZES,
    LoggedDay,
    behaviour_of,
    dataset_folder,
    default_id,
    kept_days,
    write_dataset,
)
from lmaas_train.evaluation.sellers import identity, name_of
from lmaas_train.extras import EXTRAS, require
from lmaas_train.progress import bars
from lmaas_train.runs import Results, market_settings, results_folder
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.seeds import training_seeds


@dataclasses.dataclass
class Dataset:
    """Log a seller's days as a Minari dataset, which `minari.load_dataset` reads.

    Sizes are tiny (10 days), small (100), medium (1,000) and large (10,000). The days are those of a training seed,
    never tuning or held-out days. A command that was stopped goes on if it is given again.

    Examples
    --------
      lmaas dataset
      lmaas dataset scarce --seller lookahead --size medium
      lmaas dataset --seller mixed --out data
      lmaas dataset --seller runs/my-run --id mine/day-ppo-v0
    """

    scenario: str = "day"
    """Preset or YAML file."""
    seller: str = "imp"
    """One of imp, lookahead, random and all that compare takes; or mixed: one of four for each day, and noise."""
    size: Literal["tiny", "small", "medium", "large"] = "small"
    """10, 100, 1,000 or 10,000 days."""
    seed: int = 1
    """Training seed K, 1 to 499: the seeds of its days start at K times 1,000,000."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    id: str = ""
    """Id of the new dataset; by default lmaas/SCENARIO/SELLER-SIZE-v0."""
    out: Path | None = None
    """Folder of datasets; by default Minari's own, MINARI_DATASETS_PATH or ~/.minari/datasets."""
    trust: bool = False
    """Load SB3 zips, which can run code that they hold."""

    def main(self) -> dict[str, Any]:
        """Log the days and return the dataset's id, path and mean day profit."""
        return dataset(self)


def dataset(args: Dataset, console: Console | None = None) -> dict[str, Any]:
    """Log days as `Dataset` says; return the id, the path, the number of days and their mean profit in $."""
    require(*EXTRAS["datasets"])
    console = console or Console()
    if args.size not in SIZES:
        raise ValueError(f"size = {args.size!r} must be one of {', '.join(SIZES)}")
    seeds = training_seeds(args.seed, SIZES[args.size])
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    name = args.seller if args.seller == MIXED else name_of(args.seller)
    dataset_id = args.id or default_id(market.scenario, name, args.size)
    folder = dataset_folder(dataset_id, args.out)
    profits: list[float] = []
    with bars(console) as progress:
        task = progress.add_task(f"{name}: preparing", total=None, unit="hours")
        behaviour = behaviour_of(args.seller, market, args.trust)
        progress.update(task, description=name, total=len(seeds) * market.scenario.periods)

        def counted(results: Results) -> Iterator[LoggedDay]:
            for day in kept_days(results, market, behaviour, seeds, lambda hours: progress.advance(task, hours)):
                profits.append(float(day.rewards.sum()) * market.scenario.customers)
                yield day

        about = {
            "algorithm_name": name,
            "description": f"{len(seeds)} logged days of the scenario {market.scenario.name!r}, sold by {name}.",
            "seller": args.seller,
            "sellers": list(behaviour.sellers),
            "largest_noise": behaviour.largest_noise,
            "training_seed": args.seed,
            "day_seeds": [seeds[0], seeds[-1]],
        }
        own = args.seller if args.seller == MIXED else identity(args.seller, next(iter(behaviour.sellers.values())))
        settings = {**market_settings(market), "seller": own, "days": len(seeds), "seed": args.seed}
        with results_folder(folder, "", settings, is_named=False) as results:
            write_dataset(folder / "data", dataset_id, market, args.population_seed, counted(results), about)
    mean = float(np.mean(profits))
    console.print(f"{len(seeds):,} days, {mean:,.0f} $ a day\ndataset {folder}", highlight=False, soft_wrap=True)
    where = "" if args.out is None else f"MINARI_DATASETS_PATH={args.out} and "
    console.print(f"read it with {where}minari.load_dataset({dataset_id!r})", highlight=False, soft_wrap=True)
    return {"id": dataset_id, "path": str(folder), "days": len(seeds), "mean_day_profit": mean}
