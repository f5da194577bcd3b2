"""`lmaas tune lookahead`: the shadow price of energy that look-ahead IMP ships with, tuned on tuning days."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from rich.console import Console
from rich.progress import track

from agents.lookahead import TUNED, TUNING_DAYS, tune_nu
from lmaas_env import Market
from lmaas_env.files import write_whole
from train.runs import command_line, versions


@dataclasses.dataclass
class TuneLookahead:
    """Tune look-ahead IMP's nu for presets and write it where `LookaheadIMP` finds it.

    Examples
    --------
      lmaas tune lookahead
      lmaas tune lookahead --scenarios day --out nu.json
    """

    scenarios: tuple[str, ...] = ("day", "scarce", "abundant")
    """Presets, on the customers that ship; public is priced as day, static has nothing to look ahead to."""
    days: int = TUNING_DAYS
    """Tuning days."""
    out: Path = TUNED
    """JSON file to write."""

    def main(self) -> None:
        """Tune."""
        console = Console()
        markets = {name: Market(name) for name in self.scenarios}
        nu: dict[str, float] = {}
        for name in track(markets, "presets", console=console, transient=True, disable=not console.is_terminal):
            nu[name] = round(tune_nu(markets[name], self.days), 4)
            console.print(f"{name}: nu = {nu[name]} $/Wh")
        if "day" in nu:
            nu["public"] = nu["day"]
        content = {"nu": nu | {"static": 0.0}, "days": self.days, "command": command_line(), "versions": versions()}
        write_whole(self.out, json.dumps(content, indent=2) + "\n")
        console.print(f"written to {self.out}", highlight=False)
