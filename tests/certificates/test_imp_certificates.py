"""Certificates of IMP: what must not change its answer, and markets that leave it little to decide."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from lmaas_agents import IMP, SearchResult
from lmaas_agents.imp.problem import Anticipation
from lmaas_agents.search.search import branch_and_bound, exhaustive

from lmaas_env import Market, Population, RentalTerms, Scenario
from lmaas_env.rsr import solve
from lmaas_env.scenario import MODEL_FIELDS

STATIC = Scenario.preset("static")


def with_models(scenario: Scenario, rows: Sequence[int]) -> Scenario:
    """The scenario with some of its models, in some order; names stay apart."""
    fields = {name: tuple(getattr(scenario, name)[m] for m in rows) for name in MODEL_FIELDS}
    return dataclasses.replace(scenario, models=tuple(f"model-{k}" for k in range(len(rows))), **fields)


def solved(market: Market) -> tuple[IMP, RentalTerms, SearchResult]:
    imp = IMP(market)
    terms = market.terms(market.initial_state(np.random.default_rng(0)))
    return imp, terms, imp.solve_terms(terms)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_order_of_customers_and_of_models_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenario = dataclasses.replace(STATIC, customers=12)
    population = Population.for_scenario(scenario, seed)
    _, _, plain = solved(Market(scenario, population=population))

    customers = rng.permutation(12)
    _, _, shuffled = solved(Market(scenario, population=Population(*(array[customers] for array in population))))
    assert shuffled.prices == pytest.approx(plain.prices, rel=1e-9)
    assert shuffled.profit == pytest.approx(plain.profit, rel=1e-9)

    models = rng.permutation(4)
    _, _, turned = solved(Market(with_models(scenario, models), population=population))
    assert turned.prices == pytest.approx(plain.prices[models], rel=1e-9)
    assert turned.profit == pytest.approx(plain.profit, rel=1e-9)


def _repeated(imp: IMP, terms: RentalTerms, share: float) -> tuple[IMP, RentalTerms]:
    """Every customer twice, each a share of the former one: of its tasks, hours, energy and costs."""
    rows = np.repeat(np.arange(terms.size), 2)
    scaled = {
        "task_value": terms.task_value * share,
        "saturation": terms.saturation / share,
        "energy": terms.energy * share,
        "setup_cost": terms.setup_cost * share,
        "max_hours": terms.max_hours * share,
    }
    fields = {field.name: getattr(terms, field.name) for field in dataclasses.fields(terms) if field.init} | scaled
    twice = copy.copy(imp)
    patterns, weights = imp.anticipation
    twice.anticipation = Anticipation(patterns[:, rows], weights[:, rows])
    twice.constants = imp.constants._replace(
        serving_cost=imp.constants.serving_cost[:, rows], adaptation_cost=imp.constants.adaptation_cost * share
    )
    return twice, RentalTerms(**{name: np.ascontiguousarray(array[rows]) for name, array in fields.items()})


@pytest.mark.heavy
@pytest.mark.parametrize("scenario", ["static", "day"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_splitting_every_customer_scales_the_sales_by_the_shares_and_leaves_the_prices(
    scenario: str, share: float
) -> None:
    imp, terms, plain = solved(Market(scenario, seed=3))
    twice, split = _repeated(imp, terms, share)
    result = twice.solve_terms(split)
    training = imp.constants.training_cost
    assert result.prices == pytest.approx(plain.prices, rel=1e-6)
    assert result.profit + training == pytest.approx(2.0 * share * (plain.profit + training), rel=1e-8)
    rng = np.random.default_rng(0)
    for prices in np.exp(rng.uniform(0.0, np.log(40.0), (50, 4))):
        sales = imp.profit(terms, prices) + training
        assert twice.profit(split, prices) + training == pytest.approx(2.0 * share * sales, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(3, 9))])
def test_one_customer_pays_its_monopoly_price(seed: int) -> None:
    market = Market(dataclasses.replace(STATIC, customers=1), seed=seed)
    imp, terms, result = solved(market)
    grid = np.geomspace(1.0, 40.0, 20_001)
    alone = -np.inf
    for m in range(4):  # the other models at the cap, as IMP may leave them, or away
        for price in grid:
            worst = solve(terms, np.where(np.arange(4) == m, price, 40.0))
            if worst.choice[0] == m:
                hours = worst.planned_hours[0, m].sum()
                models = market.catalogue
                alone = max(alone, (price - models.serving_cost[m]) * hours - models.adaptation_cost[m])
    alone -= imp.constants.training_cost
    assert result.profit >= alone - 1e-4 * abs(alone)
    assert result.profit <= imp.bound(terms)
    assert imp.bound(terms) <= alone + 2e-2 * abs(alone)  # it forgets that rivals at the cap may win


@pytest.mark.heavy
def test_one_model_is_priced_to_the_certified_optimum() -> None:
    for seed in range(1, 6):
        imp, terms, result = solved(Market(with_models(STATIC, [1]), seed=seed))
        proof = branch_and_bound(imp, terms, gap=1e-4, seconds=30.0)
        assert proof.status == "certified"
        assert result.profit >= proof.bound - 1.1e-4 * proof.profit
        assert result.profit >= exhaustive(imp, terms, 100_000).profit - 1e-9


def test_a_model_that_dominates_takes_the_whole_market() -> None:
    poor, good = (0.3,) * 3, (0.98,)
    market = Market(
        dataclasses.replace(
            STATIC,
            quality_low=(0.1, 0.1, 0.1, 0.9),
            quality_high=poor + good,
            bit_rate=(4e5, 4e5, 4e5, 1e4),
            compute_power=(20.0, 20.0, 20.0, 1.0),
            serving_cost=(2.0, 2.0, 2.0, 0.0),
            adaptation_cost=(0.1, 0.1, 0.1, 0.0),
        )
    )
    _, terms, result = solved(market)
    choice = solve(terms, result.prices).choice
    assert set(choice[choice >= 0]) == {3}
    _, _, alone = solved(Market(with_models(market.scenario, [3])))
    idle = market.catalogue.training_cost[:3].sum()
    assert result.profit + idle == pytest.approx(alone.profit, rel=1e-6)


def test_identical_models_are_sold_as_one() -> None:
    _, _, one = solved(Market(with_models(STATIC, [1]), seed=3))
    _, terms, three = solved(Market(with_models(STATIC, [1, 1, 1]), seed=3))
    extra = 2.0 * STATIC.training_cost[1]
    assert three.profit + extra >= one.profit - 1e-4
    assert three.bound >= three.profit
    choice = solve(terms, np.full(3, three.prices.min())).choice
    assert set(choice[choice >= 0]) == {0}  # ties go to the first


def test_a_floor_above_every_threshold_sells_nothing_and_says_so() -> None:
    market = Market(dataclasses.replace(STATIC, price_floor=1e4, price_cap=2e4))
    imp, terms, result = solved(market)
    training = market.catalogue.training_cost.sum()
    assert result.status == "converged"
    assert result.prices.tolist() == [2e4] * 4
    assert result.profit == pytest.approx(-training)
    assert imp.bound(terms) == pytest.approx(-training)
    proof = branch_and_bound(imp, terms)
    assert proof.status == "certified"
    assert -training <= proof.bound <= -training + 1e-3 * training


def test_nothing_costs_anything_and_prices_still_pay() -> None:
    free = (0.0,) * 4
    scenario = dataclasses.replace(
        STATIC, customers=8, serving_cost=free, adaptation_cost=free, training_cost=free, setup_cost=free
    )
    market = Market(scenario, seed=2)
    imp, terms, result = solved(market)
    assert result.profit > 0.0
    choice, _, planned = solve(terms, result.prices)
    buyers = np.flatnonzero(choice >= 0)
    hours = planned[buyers, choice[buyers]].sum(axis=1)
    assert result.profit == pytest.approx((result.prices[choice[buyers]] * hours).sum(), rel=1e-10)
    assert result.profit <= branch_and_bound(imp, terms, seconds=5.0).bound <= imp.bound(terms) * 1.001


def test_every_search_takes_a_market_without_demand() -> None:
    market = Market(dataclasses.replace(STATIC, customers=2, task_value_median=1e-6, task_value_sigma=0.0))
    imp, terms, result = solved(market)
    training = market.catalogue.training_cost.sum()
    for found in (result, exhaustive(imp, terms, 10), branch_and_bound(imp, terms)):
        assert found.profit == pytest.approx(-training)
