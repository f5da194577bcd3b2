"""`lmaas explore` in a headless Chromium: moving a slider changes what is shown."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

SERVE = "import tyro; from lmaas_train.explore.app import Explore; tyro.cli(Explore).main()"
CHARTS = ("sales", "customers", "landscape", "lines")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-c", SERVE, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield next(word for line in server.stdout for word in line.split() if word.startswith("http://127.0.0.1:"))
        finally:
            server.terminate()


@pytest.fixture
def page(url: str, open_page: Callable[..., Any]) -> Any:
    shown = open_page(url)
    drawn(shown)
    return shown


def drawn(page: Any) -> None:
    page.wait_for_selector("#profit")
    for chart in CHARTS:
        page.wait_for_selector(f"#{chart} .main-svg")
    page.wait_for_selector("#lines .scatterlayer .js-line")
    wait_until(page, lambda: len(marks(page)) == 2)  # the posted prices and IMP's


def figures(page: Any) -> dict[str, str]:
    names = ("profit", "imp-profit", "share", "bound", "customer-profit", "renting")
    return {name: page.inner_text(f"#{name}") for name in names}


def number(page: Any, name: str) -> Any:
    return page.locator(f'input[id*=\'"name":"{name}"\']')


def marks(page: Any) -> list[str]:
    """Where the landscape's points lie, all read at one moment: a chart is empty while it is drawn anew."""
    points = page.locator("#landscape .scatterlayer .point")
    return points.evaluate_all("points => points.map(point => point.getAttribute('transform'))")


def wait_until(page: Any, change: Callable[[], bool]) -> None:
    for _ in range(300):
        if change():
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing changed within 30 s")


def test_charts_are_drawn_with_a_dot_per_customer(page: Any) -> None:
    assert figures(page)["renting"].endswith("of 24")
    wait_until(page, lambda: page.locator("#customers .scatterlayer .point").count() == 24)
    assert page.locator("#sales .bars .point").count() == 10  # four models and none, customers and hours
    assert page.locator("#landscape .heatmaplayer image").count() == 1
    assert page.locator("#lines .scatterlayer .js-line").count() == 4


def test_moving_a_price_slider_changes_figures_and_charts(page: Any) -> None:
    before, points, lines = figures(page), marks(page), page.inner_html("#lines .scatterlayer")
    slider = page.locator("#price-panel [role=slider]").first
    price = page.locator("#price-panel input").first
    posted = price.input_value()
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    wait_until(page, lambda: figures(page)["profit"] != before["profit"])
    wait_until(page, lambda: page.inner_html("#lines .scatterlayer") != lines)
    # IMP's prices stay where they are, one's own move
    wait_until(page, lambda: [now != then for now, then in zip(marks(page), points, strict=False)] == [False, True])
    assert float(price.input_value()) > float(posted)
    assert figures(page)["imp-profit"] == before["imp-profit"]


def test_a_typed_price_moves_the_slider_and_stays_in_its_range(page: Any) -> None:
    price, slider = page.locator("#price-panel input").first, page.locator("#price-panel [role=slider]").first
    price.fill("500")
    price.press("Enter")
    wait_until(page, lambda: price.input_value() == "40")
    wait_until(page, lambda: slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax"))


def test_imps_prices_earn_all_that_imp_earns(page: Any) -> None:
    assert figures(page)["share"] != "100.0%"
    page.click("#take-imp")
    wait_until(page, lambda: figures(page)["share"] == "100.0%")
    assert figures(page)["profit"] == figures(page)["imp-profit"]


def test_an_invalid_number_is_named_and_the_charts_stay(page: Any) -> None:
    page.click("summary:has-text('Radio and demand')")
    before = figures(page)
    number(page, "fade_probability").fill("2")
    number(page, "fade_probability").press("Enter")
    wait_until(page, lambda: "fade_probability = 2 must be" in page.inner_text("#message"))
    assert figures(page) == before
    assert page.locator("#message").bounding_box()["y"] < 900  # in sight, wherever the number stands
    number(page, "fade_probability").fill("0.4")
    number(page, "fade_probability").press("Enter")
    wait_until(page, lambda: figures(page)["imp-profit"] != before["imp-profit"])
    assert page.inner_text("#message") == ""


def test_a_scenario_slider_and_its_number_move_together(page: Any) -> None:
    before = figures(page)
    slider = page.locator('[id*=\'"name":"charge"\'] [role=slider]')
    slider.focus()
    for _ in range(5):
        slider.press("ArrowLeft")
    wait_until(page, lambda: figures(page)["imp-profit"] != before["imp-profit"])
    assert float(number(page, "charge").input_value()) == pytest.approx(0.35)
    number(page, "demand").fill("2")
    number(page, "demand").press("Enter")
    slider = page.locator('[id*=\'"name":"demand"\'] [role=slider]')
    wait_until(page, lambda: abs(float(slider.get_attribute("aria-valuenow")) - 0.30103) < 1e-4)


def test_another_scenario_brings_its_own_numbers(page: Any) -> None:
    before = figures(page)["imp-profit"]
    page.click("#base")
    page.click(".dash-dropdown-option:has-text('static')")
    wait_until(page, lambda: number(page, "charge").input_value() == "1")
    wait_until(page, lambda: figures(page)["imp-profit"] != before)
    page.click("text=Start over")
    wait_until(page, lambda: page.locator("#profit").count() == 1 and figures(page)["imp-profit"] == before)


def test_two_tabs_do_not_share_prices(page: Any, url: str, open_page: Callable[..., Any]) -> None:
    before, other = figures(page), open_page(url)
    drawn(other)
    other.click("#take-imp")
    wait_until(other, lambda: figures(other)["share"] == "100.0%")
    assert figures(page) == before


def test_a_phone_in_the_dark_keeps_the_figures_in_sight(url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(url, width=390, height=844, scheme="dark")
    drawn(page)
    page.locator("#price-panel [role=slider]").last.scroll_into_view_if_needed()
    assert page.locator("#profit").bounding_box()["y"] >= 0.0
    ink = "getComputedStyle(document.querySelector('#lines .xtick text')).fill"
    assert page.evaluate(ink) == page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 233, 237)"
