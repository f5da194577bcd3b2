"""`lmaas study energy-value`: what better energy values add to look-ahead IMP, on held-out days, paired by day.

Look-ahead IMP charges every Wh at the profit that the plan expects to earn with it later (`lmaas_agents.energy`).
Five ways to estimate this energy value better:

- own days: over days that look-ahead IMP itself sold, with its prices and the states it met, instead of the plan's
  prices and stationary states; then again over days sold with that estimate.
- own days, by state: as before, with energy values that depend on each customer's shadowing and demand, by regression.
- exact: from look-ahead IMP's prices, local searches over a table of what a sale earns less the exact value of its
  energy, in expectation over 16 fade scenarios, instead of a mean slope of the energy value.
- bound: the energy values that prove the certified bound (`lmaas_agents.bounds`), in the mean of tuning days.
- searched: the plan's, times a factor for every four hours of the day; CMA-ES searches the factors on training days.

A sixth way takes no estimate for granted:

- rollouts: one step of policy improvement. Prices near look-ahead IMP's are tried on the rest of the day, with the
  plan's prices from the next hour on and the same draws for all. What earns more, clearly, is posted.

Learned sellers price by the same objective (`lmaas_agents.learned.residual`), so the table suggests how much they could
gain. It is not a bound.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from lmaas_agents import LookaheadIMP
from lmaas_agents.bounds import mean_energy_value
from lmaas_agents.energy import SHARES, charged_costs, interpolated, profit_per_customer, value_at
from lmaas_agents.imp.price_table import PriceTable, local_search
from lmaas_agents.imp.problem import Problem, SellerConstants
from lmaas_agents.planning import Plan, plan_day
from lmaas_agents.seller import PricingSeller
from lmaas_train.evaluation.rollout import rollout
from lmaas_train.evaluation.statistics import mean_estimate
from lmaas_train.extras import missing
from lmaas_train.runs import csv_text, market_settings, results_folder
from lmaas_train.sweeps.parts import EngineOptions, rows_of
from rich.console import Console

from lmaas_env import Market, RentalTerms
from lmaas_env.engine.jit import kernel
from lmaas_env.engine.period import Constants, customers_of, numbers_of
from lmaas_env.engine.recourse import recourse
from lmaas_env.engine.rsr import worst_case_of_all
from lmaas_env.engine.terms import price_per_customer
from lmaas_env.files import write_whole
from lmaas_env.market import unstack
from lmaas_env.seeds import draw_days, held_out_seeds, training_seeds
from lmaas_env.state import Draws, State
from lmaas_env.types import FloatArray

STAGES = ((25, 0.1), (13, 0.01))  # of the local search: prices per model, and the largest change of their logarithm
RIDGE = 3.0  # weight of the ridge penalty on the coefficients of shadowing and demand, in days
FIRST_TRAINING_SEED = 7  # of the first round's days; later rounds take the next ones
MOVES = (0.04, 0.15)  # by which rollouts change the logarithm of one price, or of all, up and down
CLEAR = 2.0  # standard errors by which prices have to earn more in rollouts
BLOCK = 4  # hours of the day that share a factor of the searched energy value
SPREAD = 0.1  # of the logarithms of factors at the start of the search


@dataclasses.dataclass
class StudyEnergyValue(EngineOptions):
    """Compare look-ahead IMP with sellers that estimate the value of energy better.

    Writes ways.csv. Takes an hour and a quarter on one core.

    Examples
    --------
      lmaas study energy-value
      lmaas study energy-value --scenarios scarce --days 20 --sold-days 20
    """

    scenarios: tuple[str, ...] = ("day", "scarce")
    """Presets or YAML files."""
    days: int = 200
    """Held-out days."""
    sold_days: int = 100
    """Training days per round, over which the energy value is estimated."""
    rounds: int = 2
    """Rounds of selling days and estimating the energy value on them."""
    bounded_days: int = 3
    """Tuning days whose bounds' energy values are averaged; about a minute each."""
    rollouts: int = 64
    """Training days on which the rest of a day is tried."""
    evaluations: int = 120
    """Of factors on energy values, each over `sold_days` / 4 training days."""
    out: Path | None = None
    """New folder for the results; default runs/study-energy-value-TIME."""

    def main(self) -> list[Row]:
        """Run the study and return its rows."""
        return study(self)


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
    """One hour of K days that were sold."""

    state: State
    prices: FloatArray
    draws: Draws


class OwnDays(LookaheadIMP):
    """Look-ahead IMP whose energy value is linear in `features`: coefficients (H + 1, B, N, K)."""

    def __init__(self, market: Market, plan: Plan, coefficients: FloatArray) -> None:
        super().__init__(market, plan=plan)
        self.coefficients = coefficients

    def _period(self, state: State, posted: FloatArray | None = None) -> tuple[RentalTerms, SellerConstants]:
        """Charge energy at the value that is expected for the next state."""
        scenario, coefficients = self.market.scenario, self.coefficients[int(state.hour) + 1]
        ahead = state._replace(
            shadowing=scenario.shadowing_memory * state.shadowing, demand=scenario.demand_memory * state.demand
        )
        expected = np.einsum("nb,bnk->nk", features(self.market, ahead, len(coefficients)), coefficients)
        terms = self.market.terms(state)
        return terms, charged_costs(self.constants, terms.arrays, self.market, expected[None], state)


class Exact(LookaheadIMP):
    """Look-ahead IMP refined by local searches, net of the exact value of the energy that rentals drain."""

    def prices(self, state: State) -> FloatArray:
        """Return the prices at which the local searches end, (M,) $/h."""
        market, order = self.market, np.argsort(self.market.catalogue.serving_cost, kind="stable")
        prices, problem = super().prices(state), self.problem(market.terms(state))
        values = self.plan.energy_value[int(state.hour) + 1]
        for count, reach in STAGES:
            factors = np.exp(np.linspace(-reach, reach, count))[:, None]
            grid = np.clip(prices * factors, market.scenario.price_floor, market.scenario.price_cap)
            cells = np.full((1, len(prices)), count // 2)
            local_search(net_table(problem, market.constants, values, grid), order, cells)
            prices = grid[cells[0], np.arange(len(prices))]
        return prices


class Rollouts(LookaheadIMP):
    """Look-ahead IMP, improved by trying prices on the rest of so many days, after which the plan is posted."""

    def __init__(self, market: Market, plan: Plan, seeds: Sequence[int]) -> None:
        super().__init__(market, plan=plan)
        self.draws = draw_days(market, seeds)[1]

    def prices(self, state: State) -> FloatArray:
        """Return the prices that earn most until the day's end, (M,) $/h."""
        scenario, base = self.market.scenario, super().prices(state)
        each = np.concatenate([np.eye(len(base)), np.ones((1, len(base)))])
        moves = np.concatenate([np.zeros((1, len(base))), *(sign * by * each for by in MOVES for sign in (-1.0, 1.0))])
        tried = np.clip(base * np.exp(moves), scenario.price_floor, scenario.price_cap)
        earned = self._earned(state, tried)
        gain = earned - earned[0]
        mean, error = gain.mean(axis=1), gain.std(axis=1, ddof=1) / np.sqrt(gain.shape[1])
        return tried[np.argmax(np.where(mean > CLEAR * error, mean, 0.0))]

    def _earned(self, state: State, tried: FloatArray) -> FloatArray:
        """Return the profit (C, K), $, of posting prices (C, M) now and the plan's later, on K days' draws."""
        count, days = len(tried), self.draws.demand.shape[1]
        lanes = state.repeated(count * days)
        earned, prices = np.zeros(count * days), np.repeat(tried, days, axis=0)
        for hour in range(int(state.hour), self.market.scenario.periods):
            drawn = self.draws.at(hour)
            settlement, lanes = self.market.settle(
                prices, lanes, Draws._make(np.tile(column, (count, *(1,) * (column.ndim - 1))) for column in drawn)
            )
            earned += settlement.profit
            if hour + 1 < len(self.plan.prices):
                prices = np.tile(self.plan.prices[hour + 1], (count * days, 1))
        return earned.reshape(count, days)


def searched_value(market: Market, plan: Plan, seeds: Sequence[int], evaluations: int) -> FloatArray:
    """Return the plan's energy values, scaled in blocks of hours by the factors that CMA-ES finds best on some days."""
    import cma  # pyright: ignore (an extra)

    hours = len(plan.energy_value)
    block = np.minimum(np.arange(hours) // BLOCK, (hours - 2) // BLOCK)

    def scaled(logarithms: FloatArray) -> FloatArray:
        return plan.energy_value * np.exp(logarithms)[block][:, None, None]

    def loss(logarithms: FloatArray) -> float:
        seller = LookaheadIMP(market, plan=plan._replace(energy_value=scaled(np.asarray(logarithms))))
        return -float(rollout(market, seller, seeds).day_profit.mean())

    options = {"maxfevals": evaluations, "seed": 1, "verbose": -9}
    search = cma.CMAEvolutionStrategy(np.zeros(int(block[-1]) + 1), SPREAD, options)
    search.optimize(loss)
    return scaled(search.result.xfavorite)


@kernel
def net_table(problem: Problem, constants: Constants, values: FloatArray, prices: FloatArray) -> PriceTable:
    """Return the price table at prices (J, M), with expected sales net of the value of the energy they drain.

    Parameters
    ----------
    problem : Problem
        Of one market.
    constants : Constants
    values : (N, K), $
        The energy value after the hour, by charge as in `lmaas_agents.planning.Plan`.
    prices : (J, M), $/h
    """
    terms, anticipation, seller, _ = problem
    capacity, harvest = customers_of(constants).capacity, numbers_of(constants).harvest
    slots, customers = terms.task_value.shape
    count, models = prices.shape
    worst, sale = np.empty((models, customers, count)), np.zeros((models, customers, count))
    hours = np.empty(slots)
    for j in range(count):
        promised = worst_case_of_all(terms, price_per_customer(prices[j : j + 1], customers))
        for n in range(customers):
            kept = value_at(values[n], terms.energy[n] / capacity[n] + harvest)
            for m in range(models):
                worst[m, n, j] = promised[m, n]
                for p in range(anticipation.weights.shape[0] if promised[m, n] > 0.0 else 0):
                    weight = anticipation.weights[p, n]
                    if weight > 0.0:
                        _, rented, used = recourse(terms, n, m, prices[j, m], anticipation.patterns[p, n], hours)
                        left = value_at(values[n], (terms.energy[n] - used) / capacity[n] + harvest)
                        margin = (prices[j, m] - seller.serving_cost[m, n]) * rented - seller.adaptation_cost[m]
                        sale[m, n, j] += weight * (margin - kept + left)
    return PriceTable(prices, worst, sale)


def features(market: Market, state: State, count: int) -> FloatArray:
    """Return the first ``count`` of 1, shadowing and demand in standard deviations, (..., N, count)."""
    scenario = market.scenario
    every = [np.ones_like(state.shadowing), state.shadowing / scenario.shadowing_sigma]
    return np.stack([*every, state.demand / scenario.demand_sigma][:count], axis=-1)


def sell_days(market: Market, seller: PricingSeller, seeds: Sequence[int]) -> list[Hour]:
    """Sell one day per seed and return the hours."""
    state, draws = draw_days(market, seeds)
    hours: list[Hour] = []
    for hour in range(market.scenario.periods):
        prices = np.stack([seller.prices(lane) for lane in unstack(state)])
        hours.append(Hour(state, prices, draws.at(hour)))
        state = market.settle(prices, state, hours[-1].draws)[1]
    return hours


def estimated_value(market: Market, hours: list[Hour], count: int) -> FloatArray:
    """Return the energy value's coefficients (H + 1, count, N, K) of `features`, by least squares backwards in time."""
    capacity, levels = market.population.capacity, len(SHARES)
    n = market.population.size
    coefficients = np.zeros((len(hours) + 1, count, n, levels))
    ridge = RIDGE * np.diag(np.arange(count) > 0)
    for hour in range(len(hours) - 1, -1, -1):
        state, prices, draws = hours[hour]
        days = len(prices)
        at_levels = State(
            np.full(days * levels, hour),
            np.repeat(state.shadowing, levels, axis=0),
            np.repeat(state.demand, levels, axis=0),
            np.tile(SHARES[:, None] * capacity, (days, 1)),
        )
        repeated = Draws._make(np.repeat(array, levels, axis=0) for array in draws)
        settlement, after = market.settle(np.repeat(prices, levels, axis=0), at_levels, repeated)
        profit = profit_per_customer(market, settlement)
        customer, share = np.tile(np.arange(n), days * levels), (after.charge / capacity).reshape(-1)
        later = features(market, after, count)
        for b in range(count):
            profit += later[..., b] * interpolated(coefficients[hour + 1, b], customer, share).reshape(profit.shape)
        seen, earned = features(market, state, count), profit.reshape(days, levels, n)
        for i in range(n):
            own = seen[:, i]
            coefficients[hour, :, i] = np.linalg.solve(own.T @ own + ridge, own.T @ earned[:, :, i])
    return coefficients


def study(args: StudyEnergyValue) -> list[Row]:
    """Run the study as `StudyEnergyValue` says and return its rows."""
    least = min(args.rounds, args.bounded_days, args.evaluations)
    if min(args.days, args.rollouts) < 2 or least < 1 or not args.scenarios:
        raise ValueError(
            f"days = {args.days} and rollouts = {args.rollouts} must be >= 2, rounds = {args.rounds}, bounded_days = "
            f"{args.bounded_days} and evaluations = {args.evaluations} >= 1; name at least one scenario in scenarios"
        )
    training = [training_seeds(FIRST_TRAINING_SEED + k, args.sold_days) for k in range(args.rounds)]
    markets = [Market(name) for name in args.scenarios]
    counts = ("days", "sold_days", "rounds", "bounded_days", "rollouts", "evaluations")
    settings = {name: getattr(args, name) for name in counts}
    parts, engine = {json.dumps(market_settings(it)): (it, args, training) for it in markets}, args.new_engine()
    with results_folder(args.out, "study-energy-value", {"study": "energy-value", **settings}) as results:
        found = rows_of(results, engine, _ways, parts, Console(), "scenarios", "scenarios")
        rows = [Row(*row) for own in found for row in own]
        write_whole(results.folder / "ways.csv", csv_text(Row._fields, rows))
    print(f"table {results.folder / 'ways.csv'}")
    return rows


def _ways(market: Market, args: StudyEnergyValue, training: list[range]) -> list[Row]:
    """Return a row for every way on a market."""
    name, plan = market.scenario.name, plan_day(market)
    seeds, lookahead = held_out_seeds(args.days), LookaheadIMP(market, plan=plan)
    of_bound = plan._replace(energy_value=mean_energy_value(market, args.bounded_days))
    ways: dict[str, PricingSeller] = {
        "exact": Exact(market, plan=plan),
        "bound": LookaheadIMP(market, plan=of_bound),
        "rollouts": Rollouts(market, plan, training_seeds(FIRST_TRAINING_SEED + args.rounds, args.rollouts)),
    }
    if importlib.util.find_spec("cma") is None:
        print(f"left out: searched, {missing('cma')}")
    else:
        own = training_seeds(FIRST_TRAINING_SEED + args.rounds + 1, max(2, args.sold_days // 4))
        values = searched_value(market, plan, own, args.evaluations)
        ways["searched"] = LookaheadIMP(market, plan=plan._replace(energy_value=values))
    for way, count in (("own days", 1), ("own days, by state", 3)):
        seller: PricingSeller = lookahead
        for k, own in enumerate(training):
            coefficients = estimated_value(market, sell_days(market, seller, own), count)
            seller = ways[f"{way}, round {k + 1}"] = OwnDays(market, plan, coefficients)
    reference = rollout(market, lookahead, seeds).day_profit
    rows = [Row(name, "look-ahead IMP", reference.mean(), 0.0, 0.0, 0.0, 1.0)]
    for way, seller in ways.items():
        profit = rollout(market, seller, seeds).day_profit
        added = mean_estimate(profit - reference)
        rows.append(Row(name, way, profit.mean(), *added, profit.mean() / reference.mean()))
        print(f"{name}, {way}: {added.mean:+.2f} [{added.low:+.2f}, {added.high:+.2f}] $ a day")
    return rows
