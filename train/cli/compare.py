"""`lmaas compare`: any sellers and IMP on the same held-out days."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from lmaas_train.evaluation.evaluate import Evaluation, evaluate
from lmaas_train.evaluation.results import Row
from lmaas_train.evaluation.tournament import tournament
from lmaas_train.runs import default_folder
from rich.console import Console

from lmaas_env import Market
from lmaas_env.scenario import Scenario


@dataclasses.dataclass
class Compare:
    """Sell the same held-out days with several sellers and with IMP.

    Prints mean profits and paired differences to IMP with 95 % intervals. Writes them, days and hours as CSV, a
    figure, and report.html. `lmaas_train.evaluate` does the same in Python.

    Where the scenario has two sellers and no rival is named, every seller also sells beside every other on the same
    days: payoffs.csv, and mixture.csv with the equilibria of that game.

    Examples
    --------
      lmaas compare
      lmaas compare scarce --days 100 --sellers fixed random
      lmaas compare --sellers fixed runs/my-run my_policies.py:MyPolicy
      lmaas compare --sellers downloaded/ppo.zip --trust
      lmaas compare rivals --sellers predictive-imp planner
      lmaas compare rivals --sellers planner --rival cost-plus
    """

    scenario: str = "day"
    """Preset or YAML file."""
    sellers: tuple[str, ...] = ("fixed", "public-imp", "cost-plus", "random")
    """Besides imp: lookahead, public-imp, fixed, cost-plus, random, day-guided, ..., folders, file.py:name, zips."""
    days: int = 40
    """Number of held-out days."""
    population_seed: int = 0
    """Seed of the customers; 0 selects those that ship with the package."""
    rival: str | None = None
    """With several sellers: who sells at every site but the first; by default imp."""
    trust: bool = False
    """Load SB3 zips, which can run code that they hold."""
    out: Path | None = None
    """New folder for the results; by default runs/compare-SCENARIO-TIME."""

    def main(self) -> list[Row]:
        """Run the comparison and return its rows."""
        return compare(self).rows


def compare(args: Compare) -> Evaluation:
    """Compare sellers as `Compare` says and return what they earned."""
    market = Market(Scenario.load(args.scenario), seed=args.population_seed)
    out, console = args.out or default_folder(f"compare-{market.scenario.name}"), Console()
    if market.scenario.sellers == 2 and args.rival is None:
        played = tournament(args.sellers, market, days=args.days, trusted=args.trust, out=out)
        console.print(played.table(console))
        console.print("\n".join(played.mixtures()), highlight=False, soft_wrap=True)
        found = played.evaluation
    else:
        found = evaluate(
            args.sellers, market, days=args.days, sell_anchors=False, rival=args.rival, trusted=args.trust, out=out
        )
    console.print(found.table(console))
    files = f"report {out / 'report.html'}\nfigure {out / 'figure.png'}\ntables {out}/*.csv"
    console.print(files, highlight=False, soft_wrap=True)
    return found
