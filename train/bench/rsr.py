"""`lmaas bench rsr`: RSR beside general solvers that give the same answer, timed in one run.

Peers, each on the same customers of `day`: enumeration of the fade patterns with a conic solver (cvxpy and Clarabel) or
with SLSQP for every recourse; column-and-constraint generation, which adds one worst pattern at a time for the model
that looks best; and SCIP on the whole instance, with the choice of the model and every pattern's rental in one program.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from lmaas_train.runs import csv_text, new_folder, write_origin
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize

from lmaas_env import Market, RentalTerms, Scenario
from lmaas_env.files import write_whole
from lmaas_env.rsr import solve

Recourse = Callable[[RentalTerms, int, int, float, np.ndarray], float]


@dataclasses.dataclass
class BenchRSR:
    """Time RSR beside general solvers that give the same answer.

    Needs `pip install "lmaas[bench]"`. Peers whose packages are missing are left out and listed.

    Examples
    --------
      lmaas bench rsr
    """

    customers: int = 4
    """Customers of the instance."""
    slots: int = 6
    """Slots; SCIP solves 3 at most, as its program holds every pattern."""
    out: Path | None = None
    """New folder for peers.csv; default runs/bench-rsr-TIME."""

    def main(self) -> list[tuple[str, int, float, float, float]]:
        """Run the benchmark and return its rows."""
        return bench(self)


def bench(args: BenchRSR) -> list[tuple[str, int, float, float, float]]:
    """Run the benchmark; return (peer, slots, milliseconds per customer, ratio to RSR, largest relative deviation)."""
    out = new_folder(args.out, "bench-rsr")
    console = Console()
    rows: list[tuple[str, int, float, float, float]] = []
    missing: list[str] = []
    for slots in dict.fromkeys((min(args.slots, 3), args.slots)):
        terms, prices = _instance(args.customers, slots)
        ours, seconds = _timed_rsr(terms, prices)
        rows.append(("RSR", slots, 1e3 * seconds / terms.size, 1.0, 0.0))
        for name, peer in _peers(slots).items():
            try:
                peer(terms, prices)  # compiles what there is to compile
                began = time.perf_counter()
                theirs = peer(terms, prices)
                seconds_of_peer = time.perf_counter() - began
            except ModuleNotFoundError as error:
                missing.append(f"{name} ({error.name} is not installed)")
                continue
            deviation = float((np.abs(theirs - ours) / np.maximum(1.0, np.abs(ours))).max())
            rows.append((name, slots, 1e3 * seconds_of_peer / terms.size, seconds_of_peer / seconds, deviation))
    headings = ["method", "slots", "ms_per_customer", "times_rsr", "largest_relative_deviation"]
    write_whole(out / "peers.csv", csv_text(headings, rows))
    write_origin(out)
    table = Table(title=f"worst-case profit of the best of 4 models, {args.customers} customers of day")
    for heading in ("method", "slots", "ms per customer", "times RSR", "deviation"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for name, slots, milliseconds, ratio, deviation in rows:
        table.add_row(name, str(slots), f"{milliseconds:.4g}", f"{ratio:,.0f}", f"{deviation:.0e}")
    console.print(table)
    for line in dict.fromkeys(missing):
        console.print(f"left out: {line}")
    console.print(f"table {out / 'peers.csv'}", highlight=False)
    return rows


def _instance(customers: int, slots: int) -> tuple[RentalTerms, np.ndarray]:
    market = Market(dataclasses.replace(Scenario(), customers=customers, slots=slots), seed=1)
    state = market.initial_state(np.random.default_rng(1))._replace(hour=12)
    low = state._replace(charge=0.1 * state.charge)  # half of the customers short of energy
    charge = np.where(np.arange(customers) % 2, low.charge, state.charge)
    return market.terms(state._replace(charge=charge)), np.array([8.0, 9.0, 11.0, 14.0])


def _timed_rsr(terms: RentalTerms, prices: np.ndarray) -> tuple[np.ndarray, float]:
    """Return RSR's best worst-case profit of each customer and the median time of a solve."""
    times: list[float] = []
    result = solve(terms, prices)
    for _ in range(200):
        began = time.perf_counter()
        result = solve(terms, prices)
        times.append(time.perf_counter() - began)
    return result.worst_case_profit.max(axis=1), float(np.median(times))


def _peers(slots: int) -> dict[str, Callable[[RentalTerms, np.ndarray], np.ndarray]]:
    peers = {
        "enumeration, SLSQP": lambda terms, prices: _enumerate(terms, prices, slsqp_recourse),
        "enumeration, Clarabel": lambda terms, prices: _enumerate(terms, prices, ConicRecourse(slots)),
        "column and constraint, Clarabel": lambda terms, prices: _generate(terms, prices, ConicRecourse(slots)),
    }
    return peers | ({"SCIP, whole program": _scip} if slots <= 3 else {})


def _patterns(terms: RentalTerms, n: int) -> list[np.ndarray]:
    """Return the fade patterns that use the whole budget; a fade never helps, so others are no worse."""
    slots = terms.task_value.shape[1]
    chosen = itertools.combinations(range(slots), min(int(terms.fade_budget[n]), slots))
    return [np.isin(np.arange(slots), slots_faded) for slots_faded in chosen]


def _enumerate(terms: RentalTerms, prices: np.ndarray, recourse: Recourse) -> np.ndarray:
    return np.array(
        [
            max(min(recourse(terms, n, m, price, z) for z in _patterns(terms, n)) for m, price in enumerate(prices))
            for n in range(terms.size)
        ]
    )


def _generate(terms: RentalTerms, prices: np.ndarray, recourse: Recourse) -> np.ndarray:
    """Generate columns and constraints: search the worst pattern of the model that looks best, until none beats it."""
    best = np.empty(terms.size)
    for n in range(terms.size):
        listed = [_patterns(terms, n)[0]]
        known: dict[tuple[int, bytes], float] = {}

        def value(m: int, z: np.ndarray, n: int = n, known: dict[tuple[int, bytes], float] = known) -> float:
            key = m, z.tobytes()
            if key not in known:
                known[key] = recourse(terms, n, m, float(prices[m]), z)
            return known[key]

        lower = -np.inf
        while True:
            upper = [min(value(m, z) for z in listed) for m in range(len(prices))]
            m = int(np.argmax(upper))
            worst = min(_patterns(terms, n), key=lambda z: value(m, z))
            lower = max(lower, value(m, worst))
            if upper[m] - lower <= 1e-7 * max(1.0, abs(lower)):
                break
            listed.append(worst)
        best[n] = lower
    return best


def slsqp_recourse(terms: RentalTerms, n: int, m: int, price: float, faded: np.ndarray) -> float:
    """Solve one recourse with SciPy's SLSQP, in shares of each slot's longest rental."""
    value, rate, cost, weight = _scaled(terms, n, m, price, faded)

    def loss(share: np.ndarray) -> float:
        return float(np.sum(cost * share - value * np.log1p(rate * share)))

    def slope(share: np.ndarray) -> np.ndarray:
        return cost - value * rate / (1.0 + rate * share)

    start = np.full(len(value), 0.5 * min(1.0, terms.energy[n] / max(weight.sum(), 1e-300)))
    within: Any = {"type": "ineq", "fun": lambda share: terms.energy[n] - weight @ share, "jac": lambda share: -weight}
    options: Any = {"ftol": 1e-12, "maxiter": 200}
    found = minimize(
        loss, start, jac=slope, method="SLSQP", bounds=[(0.0, 1.0)] * len(value), constraints=within, options=options
    )
    return -float(found.fun) - float(terms.setup_cost[n, m])


class ConicRecourse:
    """One recourse as an exponential-cone program, compiled once by cvxpy and solved by Clarabel."""

    def __init__(self, slots: int) -> None:
        import cvxpy as cp

        self._value = cp.Parameter(slots, nonneg=True)
        self._cost = cp.Parameter(slots)
        self._weight = cp.Parameter(slots, nonneg=True)
        self._cap = cp.Parameter(slots, nonneg=True)
        self._energy = cp.Parameter(nonneg=True)
        u = cp.Variable(slots)  # rate * share, the argument of log1p
        profit = self._value @ cp.log1p(u) - self._cost @ u
        self._problem = cp.Problem(cp.Maximize(profit), [u >= 0, u <= self._cap, self._weight @ u <= self._energy])
        self._solver = cp.CLARABEL

    def __call__(self, terms: RentalTerms, n: int, m: int, price: float, faded: np.ndarray) -> float:
        """Return the profit net of the setup cost."""
        value, rate, cost, weight = _scaled(terms, n, m, price, faded)
        self._value.value, self._cap.value = value, rate
        self._cost.value, self._weight.value, self._energy.value = cost / rate, weight / rate, float(terms.energy[n])
        with warnings.catch_warnings():  # the table's deviations measure the accuracy that it warns of
            warnings.simplefilter("ignore", UserWarning)
            self._problem.solve(solver=self._solver, tol_gap_rel=1e-9, tol_gap_abs=1e-9, tol_feas=1e-9)
        return float(self._problem.value) - float(terms.setup_cost[n, m])  # pyright: ignore


def _scip(terms: RentalTerms, prices: np.ndarray) -> np.ndarray:
    """Solve a customer's whole problem in SCIP: the choice of the model, and a rental for every fade pattern."""
    import pyscipopt  # pyright: ignore[reportMissingImports] (an extra)

    best = np.empty(terms.size)
    for n in range(terms.size):
        program: Any = pyscipopt.Model()
        program.hideOutput()
        guaranteed = program.addVar(lb=None, name="guaranteed")
        chosen = [program.addVar(vtype="B") for _ in prices]
        program.addCons(pyscipopt.quicksum(chosen) == 1)
        for z in _patterns(terms, n):
            profit, energy = 0.0, 0.0
            for m, price in enumerate(prices):
                value, rate, cost, weight = _scaled(terms, n, m, float(price), z)
                profit = profit - float(terms.setup_cost[n, m]) * chosen[m]
                for slot in range(len(value)):
                    share = program.addVar(lb=0.0, ub=1.0)
                    program.addCons(share <= chosen[m])
                    gain = program.addVar(lb=0.0)
                    program.addCons(gain <= float(value[slot]) * pyscipopt.log(1.0 + float(rate[slot]) * share))
                    profit = profit + gain - float(cost[slot]) * share
                    energy = energy + float(weight[slot]) * share
            program.addCons(energy <= float(terms.energy[n]))
            program.addCons(guaranteed <= profit)
        program.setObjective(guaranteed, "maximize")
        program.setParam("limits/gap", 1e-8)
        program.optimize()
        best[n] = program.getObjVal()
    return best


def _scaled(terms: RentalTerms, n: int, m: int, price: float, faded: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the value of each slot, and the rate, cost and energy of renting it for its longest useful time."""
    s = faded.astype(int)
    cap = terms.max_hours[n, m, s]
    rate = terms.saturation[n] * terms.quality[n, m, s] * cap
    return terms.task_value[n], rate, (price + terms.airtime_cost[n, m, s]) * cap, terms.power[n, m, s] * cap
