"""The report in a headless Chromium: every figure is drawn, its menus work, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lmaas_agents import IMP, FixedPrice
from lmaas_train.evaluation.results import summary, write_results
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    out: Path = tmp_path_factory.mktemp("result")
    market, seeds = Market("day"), held_out_seeds(3)
    sellers = {"imp": IMP(market), "fixed": FixedPrice(market, [9.0, 10.0, 11.0, 12.0])}
    days = {name: rollout(market, seller, seeds) for name, seller in sellers.items()}
    write_results(out, market, days, summary(days))
    (out / "evaluations.csv").write_text("step,seconds,mean_day_profit,standard_error\n0,0,9,1\n96,2.5,12,1\n")
    from lmaas_train.report.report import report

    (out / "report.html").write_text(report(out))
    return (out / "report.html").as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_figure_is_drawn_inside_its_panel(
    url: str, open_page: Callable[..., Any], width: int, scheme: str
) -> None:
    page = open_page(url, width=width, scheme=scheme)
    page.wait_for_selector("#slots .main-svg")
    page.wait_for_timeout(500)
    plots = page.locator(".js-plotly-plot")
    assert plots.count() == 3 + 3 + 2 * 4 + 2 + 2
    for i in range(plots.count()):
        assert plots.nth(i).locator(".main-svg").count() > 0
        assert plots.nth(i).locator(".point, .js-line, .box").count() > 0
        drawn, panel = (plots.nth(i).locator(".main-svg").first.bounding_box(), plots.nth(i).bounding_box())
        assert drawn["width"] <= panel["width"] + 1.0
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('#earnings .xtick text')).fill")
    dark = scheme == "dark"
    assert imp_is(page, "rgb(232, 232, 232)" if dark else "rgb(0, 0, 0)")
    assert (brightness(paper) < 100) == dark
    assert (brightness(ink) > 150) == dark


def imp_is(page: Any, colour: str) -> bool:
    """Return whether one of the two lines of the sellers' profit has a colour."""
    lines = page.locator("#hour-profit .js-line")
    strokes = lines.evaluate_all("lines => lines.map(line => getComputedStyle(line).stroke)")
    assert len(strokes) == 2
    return colour in strokes


def test_the_figures_follow_the_screen_from_light_to_dark_and_keep_what_is_hidden(
    url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(url)
    page.click("button[data-seller=fixed]")
    page.wait_for_function("document.querySelectorAll('#hour-profit .js-line').length === 1")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "getComputedStyle(document.querySelector('#hour-profit .js-line')).stroke === 'rgb(232, 232, 232)'"
    )
    assert page.locator("#hour-profit .js-line").count() == 1


def test_a_phone_scrolls_the_table_and_no_button_uploads(url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(url, width=390, height=844)
    width, inside = page.evaluate(
        "(({clientWidth, scrollWidth}) => [clientWidth, scrollWidth])(document.querySelector('.scroll'))"
    )
    assert width < 390 < inside
    assert page.locator("thead th").first.get_attribute("title")
    page.hover("#earnings")
    buttons = page.locator("#earnings .modebar-btn").evaluate_all("all => all.map(it => it.dataset.title)")
    assert len(buttons) == 4
    assert not [button for button in buttons if "cloud" in button.lower() or "studio" in button.lower()]
    for row in ("price", "customers"):
        assert page.locator(f"[id^=model-][id$={row}]").count() == 4


def test_a_models_panels_share_a_column(url: str, open_page: Callable[..., Any]) -> None:
    page = open_page(url)
    for model in range(4):
        price, customers = (page.locator(f"#model-{model}-{row}").bounding_box() for row in ("price", "customers"))
        assert price["x"] == customers["x"]
        assert price["width"] == customers["width"]
        assert price["y"] < customers["y"]


def brightness(colour: str) -> float:
    """Mean of red, green and blue of "rgb(r, g, b)"."""
    return sum(map(float, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 3.0


def test_a_sellers_button_hides_it_in_all_figures_and_the_menu_shows_another_customer(
    url: str, open_page: Callable[..., Any]
) -> None:
    page = open_page(url)
    lines = page.locator("#hour-profit .js-line")
    assert lines.count() == 2
    page.click("button[data-seller=imp]")
    page.wait_for_function("document.querySelectorAll('#hour-profit .js-line').length === 1")
    assert page.locator("#model-0-price .js-line").count() == 1
    page.click("button[data-seller=imp]")
    page.wait_for_function("document.querySelectorAll('#hour-profit .js-line').length === 2")

    def shown() -> tuple[str, list[str]]:
        bars = page.locator("#guaranteed .point path")
        return page.inner_text("#explanation"), [bars.nth(i).get_attribute("d") for i in range(bars.count())]

    explanation, bars = shown()
    page.select_option("#customer", index=1)
    page.wait_for_function("text => document.getElementById('explanation').textContent !== text", arg=explanation)
    page.wait_for_timeout(300)
    other, others = shown()
    assert other != explanation
    assert others != bars
