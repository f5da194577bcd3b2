"""`lmaas report`: the page holds what the files hold, needs nothing but itself, and trusts no text of theirs."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice
from lmaas_train.__main__ import main
from lmaas_train.evaluation.results import choices, summary, write_results
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.report.report import report

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds, of_one_day, open_days


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("result")
    market = Market("day")
    seeds = held_out_seeds(3)
    days = {
        "imp": rollout(market, IMP(market), seeds),
        "<b>cheap": rollout(market, FixedPrice(market, [9.0] * 4), seeds),
    }
    write_results(out, market, days, summary(days))
    return out


def rows(file: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(file.read_text().splitlines()))


def test_the_page_needs_nothing_but_itself_and_escapes_what_it_shows(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    own = page.replace(re.findall(r"<script>\s*/\*\*.*?</script>", page, re.DOTALL)[0], "")  # plotly's own code
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)""", own)
    assert "@import" not in own
    assert "default-src 'none'" in own
    assert "&lt;b&gt;cheap" in own
    assert "<b>cheap" not in own
    for title in ("Who earned what", "Day by day", "The day hour by hour", "One customer's choice", "Where it comes"):
        assert title in own.replace("&#x27;", "'")
    table = {row["seller"]: row for row in rows(folder / "table.csv")}
    assert f"{float(table['imp']['profit']):,.2f} [" in own
    assert f"{float(table['<b>cheap']['minus_imp']):+,.2f} [" in own


def test_hours_and_models_add_up_to_the_days(folder: Path) -> None:
    for row in rows(folder / "table.csv"):
        hours = [hour for hour in rows(folder / "hours.csv") if hour["seller"] == row["seller"]]
        assert sum(float(hour["profit"]) for hour in hours) == pytest.approx(float(row["profit"]))
        assert sum(float(hour["customer_profit"]) for hour in hours) == pytest.approx(float(row["customer_profit"]))
        assert 0.0 < min(float(hour["charge_share"]) for hour in hours) <= 1.0
    cheap = [row for row in rows(folder / "models.csv") if row["seller"] == "<b>cheap"]
    assert [float(row["price"]) for row in cheap] == pytest.approx([9.0] * 24 * 4, rel=1e-6)


@pytest.mark.parametrize("name", ["day", "population"])
def test_choices_are_those_of_the_day_that_was_sold(name: str) -> None:
    market = Market(name)
    make = FixedPrice if name == "day" else IMP
    sold = rollout_each(market, lambda own: make(own), held_out_seeds(1))
    told = choices(market, sold)
    hour, choice = told["hour"], np.array(told["choice"])
    assert hour == np.argmax(sold.profit[0])
    counts = np.bincount(choice[choice >= 0], minlength=4)
    np.testing.assert_array_equal(counts, sold.customers_per_model[0, hour])
    assert np.sum(told["realised"]) == pytest.approx(sold.customer_profit[0, hour])
    assert np.sum(told["rented_hours"]) == pytest.approx(sold.hours_per_model[0, hour].sum())
    guaranteed = np.array(told["guaranteed"])
    np.testing.assert_array_equal(np.where(guaranteed.max(axis=1) > 1e-12, guaranteed.argmax(axis=1), -1), choice)
    opened, _, draws = open_days(market, held_out_seeds(1))
    np.testing.assert_array_equal(told["faded"], draws[hour].faded[0])
    np.testing.assert_array_equal(told["distance"], of_one_day(opened).population.distance)


def test_sections_without_files_are_left_out_and_no_result_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "table.csv").write_text((folder / "table.csv").read_text())
    page = report(tmp_path)
    assert "Who earned what" in page
    assert "hour by hour" not in page
    assert "Learning" not in page
    (tmp_path / "evaluations.csv").write_text("step,seconds,mean_day_profit,standard_error\n0,0,9,1\n96,2.5,12,1\n")
    assert "Learning" in report(tmp_path)
    with pytest.raises(ValueError, match=r"holds no results: neither table\.csv nor evaluations\.csv is there"):
        report(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("table.csv", "seller,profit\nimp,x\n", r"table\.csv', line 2: could not convert string to float: 'x'"),
        (
            "table.csv",
            "seller,profit\nimp,3\n",
            r"a file lacks something or does not fit the others: KeyError\('profit_low'",
        ),
        ("choices.json", '{"hour": "x"}', "does not fit the others"),
        ("table.csv", b"\xff\xfe", r"table\.csv' cannot be read"),
        ("choices.json", "{", r"choices\.json' is not valid JSON"),
        ("choices.json", "[]", r"choices\.json' must hold an object"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_old_page_stays(
    file: str, content: str | bytes, fault: str, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").write_text((folder / "table.csv").read_text())
    (tmp_path / "report.html").write_text("old")
    (tmp_path / file).write_bytes(content.encode() if isinstance(content, str) else content)
    assert main(["report", str(tmp_path)]) == 2
    assert re.search(fault, capsys.readouterr().err)
    assert (tmp_path / "report.html").read_text() == "old"


def test_the_command_makes_the_page_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(folder / "report.html")}
    assert (folder / "report.html").read_text() == before
