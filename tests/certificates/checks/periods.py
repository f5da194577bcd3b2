"""Checks of terms, settlement, the next state and draws, against docs/market.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lmaas_env import Market, Population
from lmaas_env.rsr import rent, solve
from lmaas_env.state import State
from tests.certificates.checks.markets import TINY, days_of, market_of, some_prices


def terms_follow_the_market_model() -> None:
    """Rental terms against docs/market.md, sections 2 and 6, for lanes with customers of their own."""
    rng = np.random.default_rng(0)
    stacked = Population.stack([Population.sample(TINY, np.random.default_rng(seed)) for seed in (1, 2)])
    market = Market(TINY, population=stacked)
    shape, scenario = (2, TINY.customers), market.scenario
    state = State(
        np.array([2, 30]),
        4.0 * rng.standard_normal(shape),
        0.25 * rng.standard_normal(shape),
        stacked.capacity * rng.random(shape),
    )
    terms = market.terms(state)
    noise = -165.0 + 10.0 * np.log10(stacked.bandwidth)
    snr = 10.0 * np.log10(1e3 * scenario.transmit_power) - 128.1 - 37.6 * np.log10(stacked.distance / 1e3) - noise
    gamma = np.stack([snr + state.shadowing, snr + state.shadowing - stacked.fade_depth], axis=-1)[:, :, None]
    rate = np.maximum(stacked.bandwidth[..., None, None] * np.log2(1.0 + 10.0 ** (gamma / 10.0)), 1.0)
    airtime = np.array(scenario.bit_rate)[:, None] / rate
    low, high, slope, offset = (
        np.array(getattr(scenario, f"quality_{name}"))[:, None] for name in ("low", "high", "slope", "offset")
    )
    wave = 1.0 + scenario.demand_peak * np.sin(2.0 * np.pi * (state.hour - scenario.demand_rise) / 24.0)
    factor = np.exp(state.demand) * np.maximum(scenario.demand_trough, wave)[:, None]
    expected = {
        "task_value": stacked.task_value * factor[..., None],
        "fade_budget": stacked.fade_budget,
        "saturation": stacked.saturation,
        "energy": state.charge,
        "setup_cost": np.tile(scenario.setup_cost, (*shape, 1)),
        "quality": low + (high - low) / (1.0 + np.exp(-(slope * gamma + offset))),
        "airtime_cost": scenario.airtime_price * airtime,
        "power": scenario.transmit_power * airtime + np.array(scenario.compute_power)[:, None],
        "max_hours": np.minimum(1.0, 1.0 / airtime) / scenario.slots,
    }
    for name, values in expected.items():
        actual = getattr(terms, name).reshape(values.shape)
        np.testing.assert_allclose(actual, values, rtol=1e-11, err_msg=name)


def settlements_and_states_follow_the_market_model() -> None:
    """Every number of a settlement and of the next state, by the public `solve` and `rent` and docs/market.md."""
    rng, market = np.random.default_rng(2), market_of(harvest=0.3)
    scenario, models, people = market.scenario, market.catalogue, market.population
    state, draws = days_of(market, 3)
    rented = spilled = 0
    for hour in range(2):
        prices, period = some_prices(rng, 3), draws.at(hour)
        settled, after = market.settle(prices, state, period)
        for k in range(3):
            own = State(hour, *(array[k] for array in state[1:]))
            terms = market.terms(own)
            result = solve(terms, prices[k])
            choice = result.choice
            rental = rent(terms, choice, prices[k], period.faded[k])
            hours, chosen = rental.hours.sum(axis=1), choice >= 0
            guaranteed = np.where(chosen, result.worst_case_profit[np.arange(people.size), choice], 0.0)
            assert settled.choice[k].tolist() == choice.tolist()
            per_model = [[(choice == m).sum(), hours[choice == m].sum()] for m in range(models.size)]
            customers_per_model, hours_per_model = np.array(per_model).T
            costs = models.serving_cost @ hours_per_model + models.adaptation_cost @ customers_per_model
            revenue, cost = prices[k] @ hours_per_model, costs + models.training_cost.sum()
            charge = own.charge - rental.energy + scenario.harvest * people.capacity * period.harvest[k]
            shadowing = scenario.shadowing_sigma * np.sqrt(1.0 - scenario.shadowing_memory**2) * period.shadowing[k]
            demand = scenario.demand_sigma * np.sqrt(1.0 - scenario.demand_memory**2) * period.demand[k]
            expected = {
                "hours": rental.hours,
                "revenue": revenue,
                "cost": cost,
                "profit": revenue - cost,
                "customer_profit": rental.profit,
                "worst_case_profit": guaranteed,
                "energy_used": rental.energy,
                "spilled": np.maximum(charge - people.capacity, 0.0),
                "customers_per_model": customers_per_model,
                "hours_per_model": hours_per_model,
            }
            for name, values in expected.items():
                np.testing.assert_allclose(getattr(settled, name)[k], values, rtol=1e-9, atol=1e-9, err_msg=name)
            np.testing.assert_allclose(after.charge[k], charge.clip(0.0, people.capacity), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(after.shadowing[k], scenario.shadowing_memory * own.shadowing + shadowing)
            np.testing.assert_allclose(after.demand[k], scenario.demand_memory * own.demand + demand)
            assert after.hour[k] == hour + 1
            rented += len(set(choice[chosen]))
            spilled += (charge > people.capacity).sum()
        state = after
    assert rented > 6  # several models are selected in one period
    assert spilled > 0


def adaptation_is_paid_for_every_customer_who_selects() -> None:
    """Also for those who rent nothing, as more slots fade, and deeper, than they can use."""
    market = market_of(fade_depth_min=40.0, fade_depth_max=40.0, fade_budgets=(1,), airtime_price=5.0)
    (state, draws), models = days_of(market, 3), market.catalogue
    period = draws.at(0)
    settled, _ = market.settle(
        some_prices(np.random.default_rng(2), 3), state, period._replace(faded=period.faded | True)
    )
    idle = (settled.choice >= 0) & (settled.hours.sum(axis=-1) == 0.0)
    assert idle.sum() > 2
    costs = models.serving_cost * settled.hours_per_model + models.adaptation_cost * settled.customers_per_model
    np.testing.assert_allclose(settled.cost, costs.sum(axis=1) + models.training_cost.sum(), rtol=1e-12)


def draws_have_the_scenarios_probabilities() -> None:
    """Fades that are certain, impossible or drawn; harvests, charges and normal numbers in their ranges."""
    for probability in (0.0, 1.0):
        assert (days_of(market_of(fade_probability=probability), 3)[1].faded == bool(probability)).all()
    market = market_of(customers=40, slots=6, fade_probability=0.2)
    state, draws = days_of(market, 4)
    assert draws.faded.mean() == pytest.approx(0.2, abs=0.04)
    assert draws.harvest.min() == pytest.approx(0.5, abs=0.05)
    assert draws.harvest.max() == pytest.approx(1.5, abs=0.05)
    share = state.charge / market.population.capacity
    assert [share.min(), share.max()] == pytest.approx([0.3, 1.0], abs=0.05)
    for numbers in (draws.shadowing, draws.demand, state.shadowing / 4.0, state.demand / 0.25):
        assert numbers.std() == pytest.approx(1.0, abs=0.15)
    rng = np.random.default_rng([0, 2])  # lane 2: its first state, then its periods in order
    alone = market.initial_state(rng)
    for one, other in zip(alone[1:], state[1:], strict=True):
        assert np.array_equal(one, other[2])
    for hour in range(3):
        for one, other in zip(market.draws(rng), draws.at((hour, 2)), strict=True):
            assert np.array_equal(one, other)


CHECKS: list[Callable[[], None]] = [
    terms_follow_the_market_model,
    settlements_and_states_follow_the_market_model,
    adaptation_is_paid_for_every_customer_who_selects,
    draws_have_the_scenarios_probabilities,
]
