"""What would a better worth of charge add to look-ahead IMP? Three ways to have one, on held-out days, paired by day.

Look-ahead IMP charges every Wh at what the plan expects to earn with it later (`lmaas_agents.lookahead`). The ways:

- own days: the worth is counted over days that look-ahead IMP sold itself, with its prices and the states that it met,
  instead of the plan's prices and stationary states; then again over days sold with that.
- own days, by state: as well, the worth depends on each customer's shadowing and demand, by regression on both.
- exact: from look-ahead IMP's prices, climbs over tables of what a sale earns less exactly what its energy was worth,
  in expectation over 16 fade scenarios, instead of a mean slope of the worth.

A learned seller prices by the same objective (`lmaas_agents.learned.residual`), so that these say how much it might learn to add; they
are no bound. Writes ways.csv and origin.json (a quarter of an hour on an idle machine):

    python benchmarks/worth.py --out benchmarks/worth
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from lmaas_agents import LookaheadIMP
from lmaas_agents.imp.price_table import climb
from lmaas_agents.lookahead import SHARES, Plan, by_customer, interpolated, plan_day, worth_at
from lmaas_agents.seller import PricingSeller
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.runs import csv_text, new_folder, write_origin

from lmaas_env import Market
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.recourse import TermArrays, recourse
from lmaas_env.engine.recourse_simd import solve_rows
from lmaas_env.files import write_whole
from lmaas_env.market import Draws, MarketState, unstack
from lmaas_env.seeds import draw_days, held_out_seeds, training_seeds
from lmaas_env.types import BoolArray, FloatArray

STAGES = ((25, 0.1), (13, 0.01))  # of the climbs from look-ahead IMP's prices: cells, and how far their log reaches
RIDGE = 3.0  # days that the regression adds on which neither shadowing nor demand counts


@dataclasses.dataclass
class Worth:
    """Sell held-out days with look-ahead IMP and with three better worths of charge."""

    scenarios: tuple[str, ...] = ("day", "scarce")
    """Presets or YAML files."""
    days: int = 100
    """Held-out days."""
    sold_days: int = 100
    """Days of a training seed, which look-ahead IMP sells and over which the worth is counted."""
    rounds: int = 2
    """Of selling and counting in turn."""
    out: Path | None = None
    """New folder for the results; default runs/worth-TIME."""


class Row(NamedTuple):
    """One way on one scenario: day profit, $, and what it adds to look-ahead IMP's, with its 95 % interval."""

    scenario: str
    way: str
    profit: float
    added: float
    added_low: float
    added_high: float
    ratio: float


class Hour(NamedTuple):
    """One hour of several days that were sold."""

    state: MarketState
    prices: FloatArray
    draws: Draws


class OwnDays(LookaheadIMP):
    """Look-ahead IMP with a worth (H + 1, B, N, K) that is linear in B columns of `columns`."""

    def __init__(self, market: Market, plan: Plan, worth: FloatArray) -> None:
        super().__init__(market, plan=plan)
        self.by_column = worth

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices for the state, (M,) $/h, at the worth that is expected where the state will be next."""
        scenario, worth = self.market.scenario, self.by_column[int(state.hour) + 1]
        ahead = state._replace(
            shadowing=scenario.shadowing_memory * state.shadowing, demand=scenario.demand_memory * state.demand
        )
        expected = np.einsum("nb,bnk->nk", columns(self.market, ahead, len(worth)), worth)
        self.plan = self.plan._replace(worth=np.broadcast_to(expected, (scenario.periods + 1, *expected.shape)))
        return super().prices(state)


class Exact(LookaheadIMP):
    """Climbs from look-ahead IMP's prices, net of exactly what the expected rentals' energy is worth."""

    def prices(self, state: MarketState) -> FloatArray:
        """Return the prices at which the climbs end, (M,) $/h."""
        market, order = self.market, np.argsort(self.market.catalogue.serving_cost, kind="stable")
        worth = np.ascontiguousarray(self.plan.worth[int(state.hour) + 1])
        prices, terms = super().prices(state), market.terms(state).arrays
        patterns, weights = self.anticipation
        for cells, reach in STAGES:
            factors = np.exp(np.linspace(-reach, reach, cells))[:, None]
            grid = np.clip(prices * factors, market.scenario.price_floor, market.scenario.price_cap)
            profit, sale = tabulated(
                terms,
                grid,
                worth,
                market.population.capacity,
                market.scenario.harvest,
                market.catalogue.serving_cost,
                market.catalogue.adaptation_cost,
                patterns,
                weights,
            )
            ends = np.full((1, 1, len(prices)), cells // 2)
            climb(profit[None], sale[None], order, ends)
            prices = grid[ends[0, 0], np.arange(len(prices))]
        return prices


@kernel
def tabulated(
    terms: TermArrays,
    prices: FloatArray,
    worth: FloatArray,
    capacity: FloatArray,
    harvest: float,
    serving_cost: FloatArray,
    adaptation_cost: FloatArray,
    patterns: BoolArray,
    weights: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return worst-case profits and the seller's expected profits less what the energy is worth, both (M, N, J)."""
    customers, slots = terms.task_value.shape
    cells, models = prices.shape
    worst, sale = np.empty((models, customers, cells)), np.zeros((models, customers, cells))
    scratch = np.empty(slots)
    for j in range(cells):
        _, profit, _ = solve_rows(terms, prices[j : j + 1])
        for n in range(customers):
            before = worth_at(worth[n], terms.energy[n] / capacity[n] + harvest)
            for m in range(models):
                worst[m, n, j] = profit[n, m]
                for p in range(patterns.shape[0] if profit[n, m] > 0.0 else 0):
                    if weights[p, n] > 0.0:
                        _, hours, used = recourse(terms, n, m, prices[j, m], patterns[p, n], scratch)
                        after = worth_at(worth[n], (terms.energy[n] - used) / capacity[n] + harvest)
                        margin = (prices[j, m] - serving_cost[m]) * hours - adaptation_cost[m]
                        sale[m, n, j] += weights[p, n] * (margin - before + after)
    return worst, sale


def columns(market: Market, state: MarketState, count: int) -> FloatArray:
    """Return what the worth depends on (..., N, B), one or all of: 1, shadowing and demand in standard deviations."""
    scenario = market.scenario
    every = [np.ones_like(state.shadowing), state.shadowing / scenario.shadowing_sigma]
    return np.stack([*every, state.demand / scenario.demand_sigma][:count], axis=-1)


def sold(market: Market, seller: PricingSeller, seeds: Sequence[int]) -> list[Hour]:
    """Sell days and return their hours."""
    state, draws = draw_days(market, seeds)
    hours: list[Hour] = []
    for period in draws:
        prices = np.stack([seller.prices(lane) for lane in unstack(state)])
        hours.append(Hour(state, prices, period))
        state = market.settle(prices, state, period)[1]
    return hours


def counted(market: Market, hours: list[Hour], count: int) -> FloatArray:
    """Return the worth of charge (H + 1, B, N, K) by least squares over hours that were sold, backwards."""
    capacity, levels = market.population.capacity, len(SHARES)
    n = market.population.size
    worth = np.zeros((len(hours) + 1, count, n, levels))
    for hour in range(len(hours) - 1, -1, -1):
        state, prices, draws = hours[hour]
        days = len(prices)
        every = MarketState(
            np.full(days * levels, hour),
            *(np.repeat(it, levels, axis=0) for it in (state.shadowing, state.demand)),
            np.tile(SHARES[:, None] * capacity, (days, 1)),
        )
        posted = np.repeat(prices, levels, axis=0)
        sale, after = market.settle(posted, every, Draws(*(np.repeat(it, levels, axis=0) for it in draws)))
        profit = by_customer(market, sale)
        customer, share = np.tile(np.arange(n), days * levels), (after.charge / capacity).reshape(-1)
        later = columns(market, after, count)
        for b in range(count):
            profit += later[..., b] * interpolated(worth[hour + 1, b], customer, share).reshape(profit.shape)
        seen, brought = columns(market, state, count), profit.reshape(days, levels, n)
        ridge = RIDGE * np.diag(np.arange(count) > 0)
        for i in range(n):
            one = seen[:, i]
            worth[hour, :, i] = np.linalg.solve(one.T @ one + ridge, one.T @ brought[:, :, i])
    return worth


def main(args: Worth) -> None:
    """Sell the days and write the table."""
    out, seeds, rows = new_folder(args.out, "worth"), held_out_seeds(args.days), list[Row]()
    for name in args.scenarios:
        market = Market(name)
        plan = plan_day(market)
        first = LookaheadIMP(market, plan=plan)
        ways: dict[str, PricingSeller] = {"exact": Exact(market, plan=plan)}
        for way, count in (("own days", 1), ("own days, by state", 3)):
            seller: PricingSeller = first
            for k in range(args.rounds):
                hours = sold(market, seller, training_seeds(7 + k, args.sold_days))
                seller = ways[f"{way}, round {k + 1}"] = OwnDays(market, plan, counted(market, hours, count))
        reference = rollout(market, first, seeds).day_profit
        rows.append(Row(name, "look-ahead IMP", reference.mean(), 0.0, 0.0, 0.0, 1.0))
        for way, seller in ways.items():
            profit = rollout(market, seller, seeds).day_profit
            added = mean_estimate(profit - reference)
            rows.append(Row(name, way, profit.mean(), *added, profit.mean() / reference.mean()))
            print(f"{name}, {way}: {added.mean:+.2f} [{added.low:+.2f}, {added.high:+.2f}] $ a day")
    write_whole(out / "ways.csv", csv_text(Row._fields, rows))
    write_origin(out)
    print(f"results {out}")


if __name__ == "__main__":
    main(tyro.cli(Worth))
