"""`lmaas study off-policy`, small."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.studies.off_policy import StudyOffPolicy

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds


@pytest.mark.heavy
def test_days_are_paired_with_imp(tmp_path: Path) -> None:
    out = tmp_path / "result"
    sizes = {"steps": 64, "seeds": 2, "days": 2, "lanes": 4, "updates": 1}
    StudyOffPolicy(scenario="static", algorithms=("tqc",), out=out, **sizes).main()
    (row,) = csv.DictReader((out / "table.csv").read_text().splitlines())
    runs = list(csv.DictReader((out / "runs.csv").read_text().splitlines()))
    assert float(row["profit"]) == pytest.approx(np.mean([float(run["profit"]) for run in runs]))
    market = Market("static")
    imp = rollout(market, IMP(market), held_out_seeds(2)).day_profit.mean()
    assert float(row["minus_imp"]) == pytest.approx(float(row["profit"]) - imp)
    assert float(row["share_of_imp"]) == pytest.approx(float(row["profit"]) / imp)


@pytest.mark.parametrize(
    ("wrong", "message"), [({"algorithms": ("ddpg",)}, "must be of sac, tqc"), ({"updates": 0}, "updates = 0")]
)
def test_bad_options_are_refused_before_anything_is_trained(
    tmp_path: Path, wrong: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=message):
        StudyOffPolicy(**{"out": out, **wrong}).main()  # pyright: ignore[reportArgumentType]
    assert not out.exists()
