"""What sellers and searches refuse before it reaches a kernel, and that no search goes on for ever."""

from __future__ import annotations

import re

import numpy as np
import pytest
from lmaas_agents import IMP, LookaheadIMP, PublicLookaheadIMP
from lmaas_agents.bounds.clairvoyant import clairvoyant_profit
from lmaas_agents.bounds.known_day import known_day
from lmaas_agents.energy import SHARES, energy_value
from lmaas_agents.imp.demand import demand_for, nothing_known
from lmaas_agents.imp.forecast import forecast
from lmaas_agents.imp.line_search import EXACT, new_points, search_price
from lmaas_agents.imp.price_table import PriceTable, local_search
from lmaas_agents.learned.residual import Residual, customer_features, potential, residual_prices
from lmaas_agents.learned.snap import snap_to_threshold
from lmaas_agents.planning import Plan
from lmaas_agents.search import branch_and_bound, differential_evolution, exhaustive

from lmaas_env import Market
from lmaas_env.seeds import draw_days

DAY, CITY, MINI = Market("day"), Market("city"), Market("mini")
IMP_DAY = IMP(DAY)
STATE = DAY.initial_state(np.random.default_rng(0))
TERMS = DAY.terms(STATE)
PLAN = Plan(np.full((24, 4), 5.0), np.zeros((25, 1, SHARES.size)))


@pytest.mark.parametrize("other", [CITY, MINI], ids=["city", "mini"])
def test_terms_of_another_market_are_refused(other: Market) -> None:
    terms = other.terms(other.initial_state(np.random.default_rng(0)))
    prices = np.full(4, 5.0)
    for use in (
        IMP_DAY.solve_terms,
        IMP_DAY.bound,
        IMP_DAY.problem,
        lambda own: IMP_DAY.profit(own, prices),
        lambda own: forecast(IMP_DAY, own, prices),
        lambda own: branch_and_bound(IMP_DAY, own, boxes=1),
        lambda own: exhaustive(IMP_DAY, own, 2),
        lambda own: differential_evolution(IMP_DAY, own),
    ):
        with pytest.raises(
            ValueError, match=r"terms have \(customers, slots, models\) = .*this seller has \(24, 6, 4\)"
        ):
            use(terms)


@pytest.mark.parametrize("start", [[np.nan] * 4, [5.0] * 3, [0.5] * 4, [41.0] * 4, 5.0, "text"])
def test_a_start_that_is_no_price_vector_is_refused(start: object) -> None:
    for search in (lambda: IMP_DAY.solve(STATE, start), lambda: IMP_DAY.solve_terms(TERMS, start)):  # pyright: ignore
        with pytest.raises(ValueError, match="start"):
            search()


@pytest.mark.parametrize("prices", [[np.nan] * 4, [5.0] * 3, [[5.0] * 4] * 24])
def test_prices_that_are_no_price_vector_are_refused(prices: list[float]) -> None:
    for use in (IMP_DAY.profit, lambda terms, own: forecast(IMP_DAY, terms, own)):
        with pytest.raises(ValueError, match="prices"):
            use(TERMS, prices)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PLAN._replace(prices=PLAN.prices[:23]), "plan.prices has shape (23, 4), it must be (24, 4)"),
        (PLAN._replace(prices=0.0 * PLAN.prices), "plan.prices[0, 0] = 0.0 must be finite and >= 1e-06 $/h"),
        (PLAN._replace(energy_value=PLAN.energy_value[1:]), "plan.energy_value has shape (24, 1, 9)"),
        (PLAN._replace(energy_value=np.zeros((25, 7, 9))), "its second size must be 1 or 24"),
        (PLAN._replace(energy_value=PLAN.energy_value + np.nan), "plan.energy_value[0, 0, 0] = nan must be finite $"),
    ],
)
def test_a_plan_of_another_market_is_refused(plan: Plan, message: str) -> None:
    lanes = draw_days(DAY, [1, 2])[0]
    for use in (
        lambda: LookaheadIMP(DAY, plan=plan),
        lambda: residual_prices(DAY, Residual(plan, 0.1, 0.1), lanes, np.zeros((2, 4))),
        lambda: customer_features(DAY, Residual(plan, 0.1, 0.1), lanes),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            use()


def test_arrays_of_other_sizes_are_refused() -> None:
    lanes, draws = draw_days(DAY, [1, 2])
    one, day = DAY.initial_state(np.random.default_rng(0)), draws.at((slice(None), 0))
    residual = Residual(PLAN, 0.1, 0.1)
    for use, message in (
        (lambda: residual_prices(DAY, residual, lanes, np.zeros((3, 4))), "outputs has shape (3, 4)"),
        (lambda: residual_prices(DAY, residual, lanes, np.full((2, 4), np.nan)), "outputs[0, 0] = nan must be finite"),
        (lambda: potential(DAY, np.zeros((3, 24, 9)), lanes), "energy_value has shape (3, 24, 9)"),
        (lambda: energy_value(DAY, np.full((24, 3), 5.0)), "prices has shape (24, 3), it must be (any, 4)"),
        (lambda: energy_value(DAY, PLAN.prices, draws=0), "draws = 0 must be >= 1"),
        (lambda: energy_value(DAY, PLAN.prices, seller=-1), "seller = -1 must be in [0, 0]"),
        (
            lambda: snap_to_threshold(DAY, TERMS.arrays, np.full((2, 4), 5.0), 0.1),
            "terms have (slots, customers) = (6, 24)",
        ),
        (lambda: known_day(DAY, lanes, draws), "those of one day"),
        (lambda: known_day(DAY, one, day.at(slice(3))), "those of one day"),
        (lambda: clairvoyant_profit(DAY, one, day, np.ones((3, 4))), "prices has shape (3, 4), it must be (24, 4)"),
        (lambda: IMP_DAY.prices(lanes), "terms have (customers, slots, models) = (48, 6, 4)"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            use()


def test_after_the_days_end_a_plan_keeps_its_last_hour() -> None:
    seller = PublicLookaheadIMP(DAY, plan=PLAN)
    assert seller.prices(STATE._replace(hour=24)).tolist() == PLAN.prices[23].tolist()
    with pytest.raises(ValueError, match="hour"):
        seller.prices(STATE._replace(hour=-1))


def test_a_line_search_ends_on_numbers_that_are_not_finite() -> None:
    problem = IMP_DAY.problem(TERMS)
    known = nothing_known(24, 4)
    for bad in (np.nan, np.inf, -np.inf):
        sale = np.full((4, 24), bad)
        demand = demand_for(problem, 0, 5.0, np.full((4, 24), 1.0), sale, known)
        _, _, looked = search_price(problem, 5.0, 0.0, demand, new_points(24), EXACT, 1.0)
        assert looked <= 1_000_000


def test_a_local_search_ends_on_numbers_that_are_not_finite() -> None:
    for bad in (np.nan, np.inf, -np.inf):
        table = PriceTable(np.full((3, 2), 5.0), np.ones((2, 4, 3)), np.full((2, 4, 3), bad))
        local_search(table, np.arange(2), np.zeros((2, 2), dtype=np.int64))
