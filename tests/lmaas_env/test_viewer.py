"""Figures: their texts, colours and data, and that files are written whole or not at all."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from lmaas_train.evaluation import figures
from lmaas_train.evaluation.days import Days

from lmaas_env import Market, Scenario, Settlement, State
from lmaas_env.render import drawing, viewer
from lmaas_env.scenario import MODEL_FIELDS
from lmaas_env.seeds import draw_days, held_out_seeds
from tests.days import one_day, periods_of

pytest.importorskip("matplotlib")

MARKETS = ("day", "static", "city", "one model", "20 models")
FRAME = (540, 960, 3)


def market_of(name: str) -> Market:
    """A market by preset name, of 20 models, or of one whose names are long and hold what looks like a formula."""
    if name == "20 models":
        many = {field: getattr(Scenario(), field) * 5 for field in MODEL_FIELDS}
        return Market(Scenario(name=name, models=tuple(f"model {i}" for i in range(20)), **many))
    if name != "one model":
        return Market(name)
    first = {field: getattr(Scenario(), field)[:1] for field in MODEL_FIELDS}
    return Market(Scenario(name="one model, $x$ " * 5, models=("from $1$ to $2$, and a long name",), **first))


def sold(market: Market, price: float = 6.0) -> tuple[State, Settlement]:
    """The state after the first period of a day, and its settlement; each model costs more than the one before."""
    state, draws = one_day(market, 3)
    settlement, state = market.settle(price + 2.0 * np.arange(market.catalogue.size), state, draws.at(0))
    return state, settlement


def days_of(market: Market, price: float, count: int = 3) -> Days:
    """Held-out days at constant prices."""
    seeds = held_out_seeds(count)
    state, draws = draw_days(market, seeds)
    settlements, charge = [], [state.charge]
    for period in periods_of(draws):
        settlement, state = market.settle(np.full((count, market.catalogue.size), price), state, period)
        settlements.append(settlement)
        charge.append(state.charge)

    def hourly(name: str) -> np.ndarray:
        return np.stack([getattr(settlement, name) for settlement in settlements], axis=1)

    return Days(
        seeds=np.array(seeds),
        customer_profit=hourly("customer_profit").sum(axis=-1),
        worst_case_profit=hourly("worst_case_profit").sum(axis=-1),
        charge=(np.stack(charge, axis=1) / market.population.capacity).mean(axis=-1),
        seconds_per_decision=0.0,
        **{name: hourly(name) for name in ("profit", "revenue", "prices", "customers_per_model", "hours_per_model")},
    )


def sold_day(market: Market, price: float, periods: int) -> viewer.SoldDay:
    """The first periods of a day at one price."""
    state, draws = one_day(market, 3)
    states, settlements = [state], []
    for period in periods_of(draws)[:periods]:
        settlement, state = market.settle(np.full(market.catalogue.size, price), state, period)
        states.append(state)
        settlements.append(settlement)
    return viewer.SoldDay(states, settlements)


@pytest.fixture(scope="module")
def two_sellers() -> dict[str, Days]:
    market = Market("day")
    return {"cheap": days_of(market, 8.0), "dear": days_of(market, 20.0)}  # the second earns more


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]  # type: ignore[attr-defined]


class TestTable:
    def test_says_what_the_period_brought(self) -> None:
        market = Market("day")
        state, settlement = sold(market)
        clock, heading, *rows, profits, shares = viewer.table(market, state, settlement).splitlines()
        assert clock == "LMaaS day: 00:00 to 01:00, period 1 of 24"
        assert heading.split() == ["model", "price", "$/h", "customers", "hours", "revenue", "$"]
        assert [row.split()[0] for row in rows] == list(market.catalogue.names)
        numbers = np.array([[float(entry.replace(",", "")) for entry in row.split()[1:]] for row in rows])
        np.testing.assert_array_equal(numbers[:, 0], settlement.prices)
        np.testing.assert_array_equal(numbers[:, 1], settlement.customers_per_model)
        np.testing.assert_allclose(numbers[:, 2], settlement.hours_per_model, atol=0.005)
        assert numbers[:, 3].sum() == pytest.approx(settlement.revenue, abs=0.005 * len(rows))
        assert drawing.dollars(float(settlement.profit), 2) in profits
        assert drawing.dollars(float(settlement.customer_profit.sum()), 2) in profits
        assert f"{(state.charge / market.population.capacity).mean():.1%}" in shares
        assert f"{settlement.faded.mean():.1%}" in shares

    def test_before_the_first_sale_shows_dashes_and_batteries(self) -> None:
        market = Market("day")
        state, _ = one_day(market, 3)
        clock, _, *rows, profits, shares = viewer.table(market, state, None).splitlines()
        assert clock == "LMaaS day: 00:00, before period 1 of 24"
        assert all(row.split()[1:] == ["-"] * 4 for row in rows)
        assert profits.split() == ["seller's", "profit", "-", "customers'", "profit", "-"]
        assert f"{(state.charge / market.population.capacity).mean():.1%}" in shares

    @pytest.mark.parametrize("name", MARKETS)
    def test_fits_78_columns(self, name: str) -> None:
        market = market_of(name)
        state, settlement = sold(market)
        for text in (viewer.table(market, state, settlement), viewer.table(market, state, None)):
            assert max(map(len, text.splitlines())) <= 78
            assert len(text.splitlines()) == market.catalogue.size + 4
            assert "nan" not in text.lower()

    def test_the_clock_goes_round(self) -> None:
        market = Market(Scenario(periods=48))
        state, settlement = sold(market)
        text = viewer.table(market, state._replace(hour=24), settlement)
        assert text.startswith("LMaaS day: 23:00 to 00:00, period 24 of 48\n")


class TestFrame:
    @pytest.mark.parametrize("name", MARKETS)
    def test_is_a_picture(self, name: str) -> None:
        market = market_of(name)
        state, settlement = sold(market)
        picture = viewer.frame(market, state, settlement)
        assert picture.shape == FRAME
        assert picture.dtype == np.uint8
        assert (picture == 255).all(axis=2).mean() < 0.99
        blank = viewer.frame(market, state, None)
        assert blank.shape == FRAME
        assert not np.array_equal(picture, blank)

    def test_same_data_same_picture_other_data_another(self) -> None:
        market = Market("day")
        picture = viewer.frame(market, *sold(market))
        np.testing.assert_array_equal(picture, viewer.frame(market, *sold(market)))
        assert not np.array_equal(picture, viewer.frame(market, *sold(market, price=9.0)))

    def test_each_model_that_sells_is_seen_in_its_colour(self) -> None:
        market = Market("city")
        state, settlement = sold(market)
        picture = viewer.frame(market, state, settlement)
        assert (settlement.customers_per_model > 0).any()
        for colour in drawing.model_colours(market.catalogue.size):
            assert (picture == list(bytes.fromhex(colour[1:]))).all(axis=2).sum() > 100

    def test_nobody_rents(self) -> None:
        market = Market("day")
        state, settlement = sold(market, price=1e6)
        assert not settlement.customers_per_model.any()
        assert viewer.frame(market, state, settlement).shape == FRAME
        assert "0.00" in viewer.table(market, state, settlement)

    def test_does_not_touch_the_global_state_of_matplotlib(self) -> None:
        import matplotlib as mpl

        before = dict(mpl.rcParams)
        viewer.frame(Market("day"), *sold(Market("day")))
        assert dict(mpl.rcParams) == before

    def test_without_matplotlib_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, two_sellers: dict[str, Days]
    ) -> None:
        market = Market("day")
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        with pytest.raises(gym.error.DependencyNotInstalled, match=r'pip install "lmaas\[cli\]"'):
            viewer.frame(market, *sold(market))
        with pytest.raises(gym.error.DependencyNotInstalled, match=r'pip install "lmaas\[cli\]"'):
            figures.comparison(two_sellers, market.catalogue.names)
        assert viewer.table(market, *sold(market))  # needs none

    def test_importing_the_package_does_not_import_matplotlib(self) -> None:
        code = (
            "import sys, lmaas_env.render.viewer, lmaas_train.evaluation.figures; sys.exit('matplotlib' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestSideBySide:
    def test_is_a_picture_that_changes_with_every_period(self) -> None:
        market = Market("day")
        days = {"cheap": sold_day(market, 8.0, 2), "dear": sold_day(market, 20.0, 2)}
        pictures = [viewer.side_by_side(market, days, periods) for periods in range(3)]
        assert all(picture.shape == (640, 960, 3) and picture.dtype == np.uint8 for picture in pictures)
        assert not np.array_equal(pictures[0], pictures[1])
        assert not np.array_equal(pictures[1], pictures[2])
        np.testing.assert_array_equal(pictures[1], viewer.side_by_side(market, days, 1))

    @pytest.mark.parametrize("name", ["static", "one model"])
    @pytest.mark.parametrize("sellers", [1, 3])
    def test_small_markets(self, name: str, sellers: int) -> None:
        market = market_of(name)
        days = {f"${i}$ " * 12: sold_day(market, 1e6, 1) for i in range(sellers)}  # nobody rents: a loss
        assert viewer.side_by_side(market, days, 1).shape == (640, 960, 3)

    def test_says_what_each_seller_earned_and_how_far_it_is_from_the_first(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        figures = []
        monkeypatch.setattr(viewer, "_picture", figures.append)
        market = Market("day")
        days = {"cheap": sold_day(market, 8.0, 2), "dear": sold_day(market, 20.0, 2)}
        cheap, dear = (day.profit_so_far[2] for day in days.values())
        assert cheap == pytest.approx(sum(float(one.profit) for one in days["cheap"].settlements))
        viewer.side_by_side(market, days, 2)
        written = texts(figures[0])
        assert f"cheap  {drawing.dollars(cheap, 2)}" in written
        assert f"dear  {drawing.dollars(dear, 2)}  ({drawing.dollars(dear - cheap, 2, '+')})" in written
        assert "Ahead of cheap, $, by hour" in written
        assert set(market.catalogue.names) <= set(written)

    @pytest.mark.parametrize("sellers", [0, 4])
    def test_refuses_too_many_or_no_sellers(self, sellers: int) -> None:
        market = Market("static")
        with pytest.raises(ValueError, match=f"days hold {sellers} sellers, they must hold 1 to 3"):
            viewer.side_by_side(market, {str(i): sold_day(market, 6.0, 1) for i in range(sellers)}, 1)

    @pytest.mark.parametrize("periods", [-1, 2])
    def test_refuses_periods_that_the_day_does_not_have(self, periods: int) -> None:
        market = Market("static")
        with pytest.raises(ValueError, match=rf"periods = {periods} must be in 0\.\.1"):
            viewer.side_by_side(market, {"one": sold_day(market, 6.0, 1)}, periods)


class TestComparison:
    def test_writes_sellers_best_first_with_their_profit(self, two_sellers: dict[str, Days]) -> None:
        intervals = {name: (days.day_profit.min(), days.day_profit.max()) for name, days in two_sellers.items()}
        figure = figures.comparison(two_sellers, Market("day").catalogue.names, intervals)
        ranked = sorted(two_sellers, key=lambda name: -two_sellers[name].day_profit.mean())
        bars = next(axes for axes in figure.findobj(_is_axes) if axes.get_title("left").startswith("(a)"))
        assert [label.get_text() for label in bars.get_yticklabels()] == ranked
        assert bars.get_ylim()[0] > bars.get_ylim()[1]  # the first row is on top
        for label, name in zip(bars.texts, ranked, strict=True):
            profit = two_sellers[name].day_profit
            mean, low, high = label.get_text().translate(str.maketrans("−", "-", "$,[]")).split()
            assert float(mean) == pytest.approx(profit.mean(), abs=0.5)
            assert [float(low), float(high)] == pytest.approx([profit.min(), profit.max()], abs=0.5)
        assert set(Market("day").catalogue.names) <= set(texts(figure))

    def test_a_seller_keeps_its_colour_in_all_panels(self, two_sellers: dict[str, Days]) -> None:
        from matplotlib.colors import to_hex

        figure = figures.comparison(two_sellers, Market("day").catalogue.names)
        styles = drawing.seller_styles(two_sellers)
        for axes in figure.findobj(_is_axes):
            if not axes.patches:
                best, second = (to_hex(line.get_color()).upper() for line in axes.lines)  # drawn best first
                assert (second, best) == (styles["cheap"].colour, styles["dear"].colour)

    def test_the_title_says_who_earns_most(self, two_sellers: dict[str, Days]) -> None:
        sellers = {"imp": two_sellers["cheap"], "lookahead": two_sellers["dear"]}
        imp, ahead = (days.day_profit.mean() for days in sellers.values())
        figure = figures.comparison(sellers, Market("day").catalogue.names, scenario="day")
        title = f"day, 3 days: lookahead earns {100.0 * (ahead / imp - 1.0):.1f} % more than IMP"
        assert title in [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts(figure)]

    def test_random_prices_stretch_no_axis(self, two_sellers: dict[str, Days]) -> None:
        sellers = {"imp": two_sellers["dear"], "fixed": two_sellers["cheap"], "random": two_sellers["cheap"]}
        figure = figures.comparison(sellers, Market("day").catalogue.names)
        for axes in figure.findobj(_is_axes):
            if axes.get_title("left") in Market("day").catalogue.names:
                assert len(axes.lines) == 2
        assert "(c) Mean price by model (without random)" in texts(figure)

    @pytest.mark.parametrize("name", ["static", "one model"])
    @pytest.mark.parametrize("suffix", [".png", ".svg"])
    def test_small_markets(self, name: str, suffix: str, tmp_path: Path) -> None:
        market = market_of(name)
        days = {"a $6$ and $7$ seller": days_of(market, 6.0), "dear": days_of(market, 12.0, count=1)}
        drawing.save(figures.comparison(days, market.catalogue.names), tmp_path / f"figure{suffix}")
        assert [file.name for file in tmp_path.iterdir()] == [f"figure{suffix}"]

    def test_sellers_that_lose_money_are_drawn(self, two_sellers: dict[str, Days], tmp_path: Path) -> None:
        losses = {name: days._replace(profit=days.profit - 1000.0) for name, days in two_sellers.items()}
        figure = figures.comparison(losses, Market("day").catalogue.names)
        bars = next(axes for axes in figure.findobj(_is_axes) if axes.get_title("left").startswith("(a)"))
        low, high = bars.get_xlim()
        assert low < min(days.day_profit.mean() for days in losses.values())
        assert high > 0.0

    @pytest.mark.parametrize("models", [("small",), ("small", "base", "large", "xlarge", "huge")])
    def test_refuses_another_number_of_models(self, models: tuple[str, ...], two_sellers: dict[str, Days]) -> None:
        with pytest.raises(ValueError, match=f"each with the {len(models)} models"):
            figures.comparison(two_sellers, models)

    def test_refuses_no_sellers(self) -> None:
        with pytest.raises(ValueError, match="at least one seller"):
            figures.comparison({}, ["small"])


class TestColours:
    def test_every_seller_has_its_own_whatever_the_order(self) -> None:
        names = [*drawing.SELLERS, "day-guided", "run-a", "run-b", "run-c", "run-d", "run-e", "run-f"]
        styles = drawing.seller_styles(names)
        assert list(styles) == names
        assert len(set(styles.values())) == len(names)
        assert drawing.seller_styles(names[::-1]) == styles
        assert styles["imp"] == ("#000000", "solid")
        assert {style.dash for name, style in styles.items() if name.startswith("run")} == {"solid", "dash"}
        assert not {style.colour for style in styles.values()} & set(drawing.MODELS)

    def test_policies_of_one_kind_share_a_colour(self) -> None:
        styles = [drawing.seller_styles([name])[name] for name in ("day-guided", "scarce-guided")]
        assert styles[0] == styles[1]

    def test_all_are_visible_on_light_and_on_dark_paper(self) -> None:
        from matplotlib.colors import to_rgb

        def luminance(colour: str) -> float:
            linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
            return float(np.dot([0.2126, 0.7152, 0.0722], linear))

        def contrast(one: str, other: str) -> float:
            low, high = sorted((luminance(one), luminance(other)))
            return (high + 0.05) / (low + 0.05)

        sellers = [*(style.colour for style in drawing.SELLERS.values()), *drawing.LEARNED]
        for colour in [*sellers, *drawing.MODELS, drawing.GREY]:
            assert contrast(colour, drawing.PAPER) >= 3.0, colour
            assert contrast(drawing.on_dark(colour), drawing.on_dark(drawing.PAPER)) >= 3.0, colour
        dark = [drawing.on_dark(colour) for colour in sellers]
        assert len(set(dark)) == len(dark)

    @pytest.mark.parametrize(
        ("amount", "digits", "sign", "text"),
        [
            (1727.6, 0, "-", "$1,728"),
            (-30.4, 0, "+", "−$30"),
            (140.5, 1, "+", "+$140.5"),
            (-0.2, 0, "-", "$0"),
            (12.345, 2, "-", "$12.35"),
        ],
    )
    def test_dollars(self, amount: float, digits: int, sign: str, text: str) -> None:
        assert drawing.dollars(amount, digits, sign) == text


class TestSave:
    def test_both_writes_one_for_light_and_one_for_dark_pages(
        self, two_sellers: dict[str, Days], tmp_path: Path
    ) -> None:
        from matplotlib.image import imread

        figure = figures.comparison({"imp": two_sellers["cheap"]}, Market("day").catalogue.names)
        drawing.save_both(figure, tmp_path / "figure.png")
        light, dark = (imread(tmp_path / name)[..., :4] for name in ("figure.png", "figure-dark.png"))
        assert light.shape == dark.shape
        assert light[0, 0].tolist() == [1.0, 1.0, 1.0, 1.0]
        assert dark[0, 0, 3] == 0.0
        ink = dark[dark[..., 3] == 1.0][:, :3]
        assert not (ink < 0.2).all(axis=1).any()  # nothing is black
        assert (np.abs(ink - 0xE8 / 255) < 0.01).all(axis=1).any()

    @pytest.mark.heavy
    @pytest.mark.parametrize(("suffix", "begins"), [(".PNG", b"\x89PNG"), (".svg", b"<?xml")])
    def test_same_days_same_bytes(
        self, suffix: str, begins: bytes, two_sellers: dict[str, Days], tmp_path: Path
    ) -> None:
        first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
        figure = figures.comparison(two_sellers, Market("day").catalogue.names)
        drawing.save(figure, first)
        drawing.save(figure, tmp_path / "between.png")
        drawing.save(figure, str(second))
        content = first.read_bytes()
        assert content.startswith(begins)
        assert second.read_bytes() == content
        drawing.save(figures.comparison(two_sellers, Market("day").catalogue.names), first)  # replaces the old one
        assert first.read_bytes() == content
        assert sorted(file.name for file in tmp_path.iterdir()) == sorted([first.name, second.name, "between.png"])

    def test_a_failure_leaves_the_old_file(self, tmp_path: Path) -> None:
        from matplotlib.figure import Figure

        class Broken(Figure):
            def savefig(self, fname: io.BufferedWriter, **_: object) -> None:  # type: ignore[override]
                fname.write(b"half")
                raise OSError("disk full")

        path = tmp_path / "figure.png"
        path.write_bytes(b"old")
        with pytest.raises(OSError, match="disk full"):
            drawing.save(Broken(), path)
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("name", ["figure.pdf", "figure", "png"])
    def test_refuses_other_suffixes(self, name: str, tmp_path: Path) -> None:
        from matplotlib.figure import Figure

        with pytest.raises(ValueError, match=r"must end in \.png or \.svg"):
            drawing.save(Figure(), tmp_path / name)
        assert not list(tmp_path.iterdir())


def _is_axes(artist: object) -> bool:
    from matplotlib.axes import Axes

    return isinstance(artist, Axes)
