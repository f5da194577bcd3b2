"""`lmaas scenario`: write a market file to start from, and check one."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro

from lmaas_env import Market, Scenario
from lmaas_env.files import inside
from lmaas_env.population import Population


@dataclasses.dataclass
class ScenarioInit:
    """Write a market as commented YAML, and its customers as CSV, to start your own from.

    Examples
    --------
      lmaas scenario init my-market.yaml
      lmaas scenario init my-market.yaml --preset static
      lmaas scenario init my-market.yaml --customers-file people.csv
    """

    file: Annotated[Path, tyro.conf.Positional]
    """New file, .yaml or .yml."""
    scenario: Annotated[str, tyro.conf.arg(aliases=["--preset"])] = "day"
    """Preset or YAML file to start from."""
    customers_file: str = ""
    """New CSV file beside it with the customers, which the market then reads; needed where the market to start from has
    a file of its own, whose customers are copied. By default they are drawn."""
    population_seed: int = 0
    """Seed of the customers in the CSV file; 0 selects the default ones."""

    def main(self) -> dict[str, Any]:
        """Write the files, neither over one that is there."""
        base = Scenario.load(self.scenario)
        scenario = dataclasses.replace(base, name=self.file.stem)
        if self.file.suffix not in (".yaml", ".yml"):
            raise ValueError(f"file = {str(self.file)!r} must end in .yaml or .yml")
        if base.customers_file and not self.customers_file:
            raise ValueError(
                f"customers_file = '': market {self.scenario!r} has its own customers; name a file for them"
            )
        files = [self.file]
        if self.customers_file:
            scenario = dataclasses.replace(scenario, customers_file=self.customers_file)
            files.append(inside(self.file.parent, self.customers_file, "customers_file"))
        for file in files:
            if file.exists():
                raise ValueError(f"file {str(file)!r} exists already; nothing was changed")
            if not file.parent.is_dir():
                raise ValueError(f"folder {str(file.parent)!r} does not exist; nothing was written")
        if self.customers_file:
            Population.for_scenario(base, self.population_seed).to_csv(files[1])
        scenario.to_yaml(self.file)
        for file in files:
            print(f"wrote {file}")
        print(f"next: lmaas scenario check {self.file}; lmaas price {self.file}")
        return {"files": [str(file) for file in files]}


@dataclasses.dataclass
class ScenarioCheck:
    """Check a market file: report its errors by line, or the market that it describes.

    Examples
    --------
      lmaas scenario check my-market.yaml
    """

    file: Annotated[Path, tyro.conf.Positional]
    """YAML file."""

    def main(self) -> dict[str, Any]:
        """Check the file and build its market."""
        market = Market(Scenario.from_yaml(self.file))
        scenario = market.scenario
        customers = f"from {scenario.customers_file}" if scenario.customers_file else "drawn"
        print(
            f"{self.file} is a market: {scenario.customers:,} customers ({customers}), {scenario.slots} slots, "
            f"{scenario.periods} periods,\nmodels {', '.join(scenario.models)}"
        )
        return {"file": str(self.file), "scenario": scenario.to_dict()}
