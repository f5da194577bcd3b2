"""`lmaas watch`: the day is the one that all are compared on, pictures come whole, bad input is refused first."""

from __future__ import annotations

import dataclasses
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP, CostPlus
from lmaas_train.cli.watch import Watch, watch
from lmaas_train.evaluation.animation import FORMATS
from lmaas_train.evaluation.rollout import rollout, rollout_each, sell_day
from lmaas_train.evaluation.sellers import seller_of
from PIL import Image
from rich.console import Console

from lmaas_env import Market, Scenario
from lmaas_env.render import drawing
from lmaas_env.seeds import HELD_OUT_START, held_out_seeds

quiet = Console(file=io.StringIO())


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A scenario file: five customers, three periods."""
    path = tmp_path / "small.yaml"
    Scenario(name="small", customers=5, periods=3).to_yaml(path)
    return str(path)


def terminal(is_terminal: bool = False, width: int = 80) -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=width, force_terminal=is_terminal, color_system=None), text


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("something was sold")


@pytest.mark.parametrize("scenario", ["day", "population"])
def test_the_day_is_the_one_that_compare_sells(scenario: str) -> None:
    market = Market(dataclasses.replace(Scenario.preset(scenario), periods=3))
    seeds = held_out_seeds(2)
    learned = seller_of(f"{scenario}-guided", market) if scenario == "population" else None
    sellers: dict[str, Any] = {"imp": IMP, "cost-plus": CostPlus} | ({"ppo": learned} if learned else {})
    expected = {name: rollout_each(market, sellers[name], seeds) for name in ("imp", "cost-plus")}
    if learned:
        expected["ppo"] = rollout(market, learned, seeds)
    shown, days = sell_day(market, sellers, seeds[1], quiet)
    assert shown.population.distance.shape == (24,)
    assert list(days) == list(sellers)
    for name, day in days.items():
        assert [one.profit for one in day.settlements] == pytest.approx(expected[name].profit[1].tolist(), rel=1e-9)
        charge = [(state.charge / shown.population.capacity).mean() for state in day.states]
        assert charge == pytest.approx(expected[name].charge[1].tolist(), rel=1e-9)
        assert np.array_equal(day.states[0].charge, days["imp"].states[0].charge)


@pytest.mark.parametrize("suffix", FORMATS)
def test_writes_a_picture_for_every_hour_and_stays_on_the_last(small: str, suffix: str, tmp_path: Path) -> None:
    out = tmp_path / f"day{suffix}"
    watch(Watch(small, sellers=("imp", "random"), out=out, fps=4.0), quiet)
    with Image.open(out) as image:
        assert image.size == (960, 640)
        assert image.n_frames == 4
        assert image.info["loop"] == 0
        durations, pictures = [], []
        for frame in range(image.n_frames):
            image.seek(frame)
            image.load()
            durations.append(image.info["duration"])
            pictures.append(np.asarray(image.convert("RGB")))
    assert durations == [250, 250, 250, 3000]
    assert all((one != other).any() for one, other in itertools.pairwise(pictures))
    assert all(tuple(picture[0, 0]) == (255, 255, 255) for picture in pictures)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([out.name, "small.yaml"])


def test_an_interruption_leaves_no_file(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lmaas_train.cli.watch.viewer.side_by_side", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch(Watch(small, sellers=("random",), out=tmp_path / "day.gif"), quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_prints_every_period_where_there_is_no_terminal(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmaas_train.cli.watch.time.sleep", refuse)
    console, text = terminal()
    days = watch(Watch(small, sellers=("imp", "random", "cost-plus")), console)
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.strip() for line in lines if "period" in line] == [
        f"LMaaS small: {hour:02d}:00 to {hour + 1:02d}:00, period {hour + 1} of 3" for hour in range(3)
    ]
    last = text.getvalue()[text.getvalue().rindex("LMaaS small") :]
    prices = days["random"].settlements[-1].prices
    for model, price in zip(Market("day").catalogue.names, prices, strict=True):
        row = next(line for line in last.splitlines() if line.split()[:1] == [model])
        assert row.split()[3] == f"{price:,.2f}"
    for name, day in days.items():
        bar = next(line for line in last.splitlines() if line.startswith(name))
        ahead = [] if name == "imp" else [f"{day.profit_so_far[-1] - days['imp'].profit_so_far[-1]:+,.0f}"]
        assert bar.replace("█", "").split()[1:] == [f"{day.profit_so_far[-1]:z,.0f}", *ahead]


@pytest.mark.parametrize("width", [40, 60, 80])
def test_the_tables_fit_the_terminal(small: str, width: int) -> None:
    console, text = terminal(width=width)
    watch(Watch(small, sellers=("public-lookahead", "cost-plus", "random")), console)
    shown = text.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert "…" not in shown
    assert shown.count("lookahead") == 6  # the heading and the bar of three periods
    assert shown.count("mean battery") == 3 * {40: 3, 60: 2, 80: 1}[width]  # tables one below the other


def test_plays_in_a_terminal_at_its_pace(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr("lmaas_train.cli.watch.time.sleep", naps.append)
    console, text = terminal(is_terminal=True)
    watch(Watch(small, sellers=("imp",), fps=5.0), console)
    assert naps == [0.2] * 3
    assert "period 3 of 3" in text.getvalue()


def test_bars_have_the_colours_of_the_figures_and_imp_that_of_the_terminal(small: str) -> None:
    text = io.StringIO()
    console = Console(file=text, width=80, force_terminal=True, color_system="truecolor")
    watch(Watch(small, sellers=("imp", "cost-plus"), fps=50.0), console)
    grey = tuple(int(drawing.SELLERS["cost-plus"].colour[i : i + 2], 16) for i in (1, 3, 5))
    assert "\x1b[38;2;{};{};{}m█".format(*grey) in text.getvalue()
    of_imp = [line for line in text.getvalue().splitlines() if "imp " in line and "█" in line]
    assert of_imp
    assert not any("\x1b[38" in line for line in of_imp)


def test_shows_a_window_until_the_user_closes_it(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pygame = pytest.importorskip("pygame")
    from lmaas_env.render.window import Window

    shown: list[np.ndarray] = []

    def show(window: Window, picture: np.ndarray) -> None:
        shown.append(picture)
        usual(window, picture)
        if len(shown) == 4:
            pygame.event.post(pygame.event.Event(pygame.QUIT))

    usual = Window.show
    monkeypatch.setattr(Window, "show", show)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    watch(Watch(small, sellers=("random",), window=True, fps=50.0), quiet)
    assert len(shown) == 4
    assert pygame.display.get_surface() is None


def test_a_window_that_cannot_be_is_refused_before_anything_is_sold(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    monkeypatch.setattr("lmaas_train.cli.watch.sell_day", refuse)
    with pytest.raises(ValueError, match="no window can be opened here"):
        watch(Watch("static", window=True), quiet)


@pytest.mark.parametrize(
    ("scenario", "expected"), [("scarce", ["imp", "scarce-guided"]), ("static", ["imp", "fixed"]), ("public", None)]
)
def test_by_default_imp_and_the_policy_that_ships_sell_the_held_out_day(
    scenario: str, expected: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def stop(market: Market, sellers: dict[str, object], seed: int, _: object) -> None:
        asked.extend(sellers)
        assert seed == held_out_seeds(8)[7]
        raise KeyboardInterrupt

    monkeypatch.setattr("lmaas_train.cli.watch.sell_day", stop)
    with pytest.raises(KeyboardInterrupt):
        watch(Watch(scenario, seed=7), quiet)
    assert asked == (expected or ["public-imp", "public-guided"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scenario": "dya"}, "scenario = 'dya' is unknown, did you mean 'day'?"),
        ({"sellers": ("ipm",)}, "seller 'ipm' is unknown, did you mean 'imp'?"),
        ({"sellers": ("imp", "fixed", "random", "cost-plus")}, "are 4, they must be at most 3"),
        ({"seed": -1}, rf"seed = -1 must be in \[0, {2**31 - 1 - HELD_OUT_START}\]"),
        ({"seed": 2**31 - HELD_OUT_START}, r"must be in \[0, "),
        ({"fps": 0.0}, r"fps = 0.0 must be in \[0.1, 50\]"),
        ({"fps": float("nan")}, r"fps = nan must be in"),
        ({"out": Path("day.mp4")}, r"out = 'day.mp4' must end in .gif or .webp"),
        ({"out": Path("nowhere/day.gif")}, "folder 'nowhere' does not exist"),
        ({"out": Path("mine.gif")}, "file 'mine.gif' exists already"),
        ({"out": Path("day.gif"), "window": True}, "exclude each other"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sold(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.gif").write_bytes(b"mine")
    monkeypatch.setattr("lmaas_train.cli.watch.sell_day", refuse)
    with pytest.raises(ValueError, match=message):
        watch(Watch(**{"scenario": "static", **changes}), quiet)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("mine.gif", b"mine")]
