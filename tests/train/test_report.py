"""`lmaas report`: the page shows what the files hold, works offline, and escapes their texts."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice
from lmaas_train.__main__ import main
from lmaas_train.evaluation import findings
from lmaas_train.evaluation.results import choices, summary, write_results
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.report.report import report

from lmaas_env import Market
from lmaas_env.render import drawing
from lmaas_env.seeds import held_out_seeds, of_one_day, open_days

HEAD = "seller,profit,profit_low,profit_high,minus_imp,minus_imp_low,minus_imp_high,share_of_imp,customer_profit"
TABLE = f"""{HEAD},milliseconds_per_decision
lookahead,1650,1600,1700,150,140,160,1.1,2000,20
imp,1500,1450,1550,0,0,0,1,2100,9
fixed,1490,1400,1510,-10,-30,10,0.99,2200,0.01
random,500,400,600,-1000,-1100,-900,0.33,3000,0.001
"""


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


def own_part(page: str) -> str:
    """Return the page without plotly's code."""
    return page.replace(re.findall(r"<script>\s*/\*\*.*?</script>", page, re.DOTALL)[0], "")


def test_the_page_works_offline_and_escapes_its_texts(folder: Path) -> None:
    own = own_part((folder / "report.html").read_text())
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!#)""", own)
    assert "@import" not in own
    assert "default-src 'none'" in own
    assert "&lt;b&gt;cheap" in own
    assert "<b>cheap" not in own
    for title in ("Profit", "Hour by hour", "One customer's choice", "Origin"):
        assert f"<h2>{title}</h2>" in own.replace("&#x27;", "'")


def test_the_page_has_no_button_that_uploads(folder: Path) -> None:
    own = own_part((folder / "report.html").read_text())
    assert 'modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]]' in own  # the only ones
    for off in ("displaylogo: false", "showSendToCloud: false", "showEditInChartStudio: false", 'plotlyServerURL: ""'):
        assert off in own


def test_the_page_starts_with_a_verdict_under_the_scenario(folder: Path) -> None:
    own = own_part((folder / "report.html").read_text())
    table = {row["seller"]: row for row in rows(folder / "table.csv")}
    imp, cheap = (float(table[name]["profit"]) for name in ("imp", "<b>cheap"))
    assert imp > cheap
    assert "<h1>LMaaS: scenario day</h1>" in own
    text = html.unescape(own[own.index("<h1>") : own.index("<table>")]).replace("\N{NO-BREAK SPACE}", " ")
    assert f"Scenario day, 3 held-out days: IMP wins with ${imp:,.0f} a day." in text
    assert f"The next best, <b>cheap, is ${imp - cheap:,.0f} behind, 95 % interval $" in text
    assert "paired by day: clear of zero." in text


def test_the_table_has_whole_dollars_and_explains_its_columns(folder: Path) -> None:
    own = own_part((folder / "report.html").read_text())
    cells = re.findall(r"<td>(.*?)</td>", own)
    cheap = next(row for row in rows(folder / "table.csv") if row["seller"] == "<b>cheap")
    assert f"${float(cheap['profit']):,.0f} <small>[$" in own
    assert f"−${-float(cheap['minus_imp']):,.0f} <small>[−$" in own
    assert not [cell for cell in cells if "$" in cell and re.search(r"\$[\d,]*\.", cell)]
    heads = re.findall(r'<th scope=col title="([^"]+)"><span>([^<]+)</span></th>', own)
    assert [head for _, head in heads] == ["seller", "profit a day", "minus IMP", "/ IMP", "customers", "ms"]
    assert all(f"<dt>{head}</dt><dd>{meaning}</dd>" in own for meaning, head in heads)


def test_models_share_a_column_of_price_and_customers(folder: Path) -> None:
    own = own_part((folder / "report.html").read_text())
    names = re.findall(r"<h3><span [^>]*--light:(#\w+)[^>]*></span>(\w+)</h3>", own)
    assert [name for _, name in names] == list(Market("day").catalogue.names)
    assert [colour for colour, _ in names] == drawing.model_colours(4)
    assert re.findall(r'id="(model-\d-\w+)" class', own) == [
        f"model-{m}-{it}" for m in range(4) for it in ("price", "customers")
    ]
    price, customers = (
        json.loads(re.search(rf'id="model-0-{it}-figure">(.*?)</script>', own)[1]) for it in ("price", "customers")
    )  # type: ignore[index]
    lines = [
        [(trace["legendgroup"], trace["line"]["color"]) for trace in figure["data"]] for figure in (price, customers)
    ]
    assert lines[0] == lines[1]
    assert ("imp", "#000000") in lines[0]


def test_one_day_shows_no_interval(tmp_path: Path) -> None:
    market = Market("static")
    sellers = {"imp": IMP(market), "cheap": FixedPrice(market, [9.0] * 4)}
    days = {name: rollout(market, seller, held_out_seeds(1)) for name, seller in sellers.items()}
    write_results(tmp_path, market, days, summary(days))
    own = own_part((tmp_path / "report.html").read_text())
    assert "NaN" not in own
    assert "nan" not in re.sub(r'<script type="application/json".*?</script>', "", own).lower().replace("finance", "")
    assert "A single day gives no interval" in own
    assert "A single day cannot tell sellers apart" in own
    assert 'id="days"' not in own
    assert '"visible":false' in own
    assert "<small>[" not in own[own.index("<table>") : own.index("</table>")]


def test_cells_without_a_number_are_empty_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(f"{HEAD},milliseconds_per_decision\nimp,0,,,0,,,,21,9\nfixed,-5,,,-5,,,,22,1\n")
    own = own_part(report(tmp_path))
    assert "nan" not in own[own.index("<table>") :].lower()
    assert own.count("<td></td>") == 3  # IMP's difference to itself, and both shares of its profit of 0


def test_random_prices_are_off_the_axis_until_their_button_is_pressed(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(TABLE)
    own = own_part(report(tmp_path))
    assert re.findall(r'aria-pressed="(\w+)" data-seller="([\w-]+)"', own) == [
        ("true", "lookahead"), ("true", "imp"), ("true", "fixed"), ("false", "random"),
    ]  # fmt: skip
    assert "Off the axis: random −$1,000 a day." in own
    assert "lookahead earns 10.0\N{NO-BREAK SPACE}% more than IMP" in own
    assert "lookahead earns clearly more than IMP" in own


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
    opened, _, draws, *_ = open_days(market, held_out_seeds(1))
    np.testing.assert_array_equal(told["faded"], draws.at(hour).faded[0])
    np.testing.assert_array_equal(told["distance"], of_one_day(opened).population.distance)


def test_sections_without_files_are_left_out_and_no_result_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "table.csv").write_text((folder / "table.csv").read_text())
    page = report(tmp_path)
    assert "<h2>Profit</h2>" in page
    assert "Hour by hour" not in page
    assert "<h2>Learning</h2>" not in page
    (tmp_path / "evaluations.csv").write_text("step,seconds,mean_day_profit,standard_error\n0,0,9,1\n96,2.5,12,1\n")
    page = report(tmp_path)
    assert "<h2>Learning</h2>" in page
    assert "Profit on tuning days goes from $9.00 to $12.00 a day" in page
    curve = "step,seconds,mean_day_profit,standard_error,share_of_imp\n0,0,9,1,0.9\n96,2.5,11,1,1.1\n"
    (tmp_path / "evaluations.csv").write_text(curve)
    page = report(tmp_path)
    assert "The policy passes IMP after 2 s and ends at 1.100 of IMP&#x27;s profit" in page
    assert page.index("<h2>Learning</h2>") < page.index("<h2>Profit</h2>")
    with pytest.raises(ValueError, match=r"holds no results: neither table\.csv nor evaluations\.csv is there"):
        report(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "content", "fault"),
    [
        ("table.csv", "seller,profit\nimp,x\n", r"table\.csv', line 2: could not convert string to float: 'x'"),
        (
            "table.csv",
            "seller,profit\nimp,3\n",
            r"a file is incomplete or does not match the others: KeyError\('",
        ),
        ("choices.json", '{"hour": "x"}', "does not match the others"),
        ("table.csv", b"\xff\xfe", r"table\.csv' is not UTF-8 text"),
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


@pytest.mark.parametrize(
    ("profits", "said"),
    [
        ({"imp": 1500.0, "a": 1650.0}, "a earns 10.0 % more than IMP"),
        ({"imp": 1500.0, "a": 1000.0, "b": 1200.0}, "IMP earns 25.0 % more than b"),
        ({"imp": 1500.4}, "IMP earns $1,500 a day"),
        ({"imp": -5.0, "a": 1.25}, "a earns $6.25 more than IMP"),
        ({"a": 2.0, "b": 1.0}, "a earns 100.0 % more than b"),
    ],
)
def test_headline(profits: dict[str, float], said: str) -> None:
    assert findings.headline(profits).replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.parametrize(
    ("differences", "hidden"),
    [
        ({"imp": 0.0, "a": 140.0, "fixed": -30.0, "cost-plus": -285.0, "random": -1000.0}, ["random"]),
        ({"imp": 0.0, "random": -1000.0}, []),
        ({"imp": 0.0, "a": 10.0, "random": 5.0}, ["random"]),
        ({"imp": 0.0, "a": 10.0, "b": 1.0}, []),  # a winner is never hidden
        ({"imp": 0.0, "a": 10.0, "untrained": -900.0, "random": -1000.0}, ["random", "untrained"]),
    ],
)
def test_sellers_off_the_axis(differences: dict[str, float], hidden: list[str]) -> None:
    assert findings.off_axis(differences) == hidden


def test_the_runner_up_is_compared_on_the_days_that_both_sold() -> None:
    table = [
        {"seller": name, "profit": profit, "minus_imp": profit - 1500.0, "minus_imp_low": profit - 1510.0,
         "minus_imp_high": profit - 1490.0}
        for name, profit in (("a", 1650.0), ("b", 1649.0), ("imp", 1500.0))
    ]  # fmt: skip
    days = [
        {"seller": name, "day_seed": day, "profit": profit + (day * 10.0 if name == "b" else 0.0)}
        for name, profit in (("a", 1650.0), ("b", 1639.0), ("imp", 1500.0))
        for day in (0, 1, 2)
    ]
    said = " ".join(findings.verdict(table, days, "day")).replace("\N{NO-BREAK SPACE}", " ")
    assert said.startswith(
        "Scenario day, 3 held-out days: a wins with $1,650 a day. That is $150 more than IMP (10.0 % more), "
        "95 % interval $140 to $160, paired by day: clear of zero. The next best, b, is $1 behind"
    )
    assert said.endswith("not clear of zero.")


def test_the_command_writes_the_page_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert main(["report", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": str(folder / "report.html")}
    assert (folder / "report.html").read_text() == before
