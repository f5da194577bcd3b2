"""`lmaas library`: make the plan library of a scenario whose customers are hidden, before a seller needs it."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from lmaas_agents.adaptive.plan_library import cache_folder, found_library, key, make_library, parts, write_library
from lmaas_train.progress import bars
from lmaas_train.sweeps.parts import EngineOptions, in_order
from rich.console import Console

from lmaas_env.scenario import Scenario


@dataclasses.dataclass
class Library(EngineOptions):
    """Make the plan library of a scenario with hidden customers and keep it in the user's cache.

    Thompson-IMP, the prior plan, GP-UCB and in-context imitation need it. It depends on the scenario's numbers alone,
    of which the name of its file is a digest; a library that ships or was made before is left as it is.

    Examples
    --------
      lmaas library my-market.yaml --jobs 2
    """

    scenario: str = "unknown"
    """Preset or YAML file."""

    def main(self) -> Path:
        """Make the library unless there is one, and return its file."""
        scenario, console, engine = Scenario.load(self.scenario), Console(), self.new_engine()
        found = found_library(scenario)
        if found is None:
            found = cache_folder() / f"{key(scenario)}.safetensors"
            found.parent.mkdir(parents=True, exist_ok=True)
            with bars(console) as progress:
                task = progress.add_task(f"library of {scenario.name}", total=parts(), unit="parts")
                library = make_library(scenario, functools.partial(in_order, engine), lambda: progress.advance(task))
            write_library(found, scenario, library)
        console.print(f"library {found}", highlight=False, soft_wrap=True)
        return found
