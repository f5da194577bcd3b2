"""Draw the figures of the documentation, for light and dark pages: `python docs/figures.py` writes them here."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from lmaas_agents import IMP
from matplotlib.figure import Figure

from lmaas_env import Market, RentalTerms
from lmaas_env.render import drawing
from lmaas_env.rsr import rent, solve

FADED = ("nominal", "faded")


def theorem_1() -> Figure:
    """Draw what a slot earns by its task value, and a customer's profit for every pattern of two fades."""
    price, kq, cost, power, cap, mu = 5.0, (16.0, 11.0), (0.4, 1.0), (4.2, 4.9), (0.30, 0.22), 0.8
    value = np.linspace(0.0, 4.0, 401)
    earned: list[np.ndarray] = []
    for s in range(2):
        slope = price + cost[s] + mu * power[s]
        hours = np.clip(value / slope - 1.0 / kq[s], 0.0, cap[s])
        earned.append(value * np.log1p(kq[s] * hours) - slope * hours)
    figure = Figure((12.0, 4.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    for s in range(2):
        left.plot(value, earned[s], color=drawing.COLOURS[s], lw=2, label=f"$\\varphi(V, \\mu)$, {FADED[s]}")
    left.plot(value, earned[0] - earned[1], color=drawing.INK, lw=2, ls="--", label="what a fade costs, $\\Delta(V)$")
    left.set_xlabel("task value V of the slot, $")
    left.set_ylabel("slot profit with energy at the price $\\mu$, \\$")
    left.set_title("A fade costs most where the task is worth most", loc="left")
    left.legend(frameon=False)

    slots, budget = 6, 2
    terms = RentalTerms(
        task_value=np.array([[3.0, 2.4, 1.8, 1.4, 1.1, 0.9]]),
        fade_budget=np.array([budget]),
        saturation=np.array([20.0]),
        energy=np.array([1.6]),
        setup_cost=np.array([[0.02]]),
        quality=np.array([[[0.8, 0.55]]]),
        airtime_cost=np.array([[[0.4, 1.0]]]),
        power=np.array([[[4.2, 4.9]]]),
        max_hours=np.array([[[0.166, 0.12]]]),
    )
    profits: dict[str, float] = {}
    for chosen in itertools.combinations(range(slots), budget):
        faded = np.isin(np.arange(slots), chosen)
        profits[" ".join(str(slot + 1) for slot in chosen)] = float(rent(terms, [0], [price], faded[None]).profit[0])
    order = sorted(profits, key=lambda name: profits[name])
    colours = [drawing.COLOURS[1 if name == "1 2" else 0] for name in order]
    right.bar(range(len(order)), [profits[name] for name in order], color=colours)
    right.set_xticks(range(len(order)), [name.replace(" ", "\n") for name in order])
    low = 0.97 * min(profits.values())
    right.set_ylim(low, 1.01 * max(profits.values()))
    right.set_xlabel("slots that fade (slot 1 carries the most valuable tasks)")
    right.set_ylabel(f"profit after the best rental, \\$ (axis starts at {low:.2f})")
    right.set_title("Every pattern of two fades: the most valuable two hurt most", loc="left")
    for axes in (left, right):
        drawing.grid(axes)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def theorem_2() -> Figure:
    """Draw the seller's profit along one price, with the thresholds at which customers switch, and what IMP posts."""
    market = Market("static")
    imp = IMP(market)
    terms = market.terms(market.initial_state(np.random.default_rng(0)))
    posted = imp.solve_terms(terms).prices
    model = 2

    def at(price: float) -> np.ndarray:
        prices = posted.copy()
        prices[model] = price
        return prices

    grid = np.linspace(8.0, 13.5, 6000)
    profit = np.array([imp.profit(terms, at(price)) for price in grid])
    buyers = np.array([solve(terms, at(price)).choice == model for price in grid])
    switches = np.flatnonzero((buyers[1:] != buyers[:-1]).any(axis=1))
    figure = Figure((12.0, 4.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.vlines(grid[switches], 0.0, 1.0, transform=axes.get_xaxis_transform(), color=drawing.GRID, lw=0.8)
    for first, last in itertools.pairwise([0, *switches + 1, len(grid)]):
        axes.plot(grid[first:last], profit[first:last], color=drawing.model_colours(model + 1)[model], lw=2)
    best = imp.profit(terms, posted)
    axes.plot(posted[model], best, "o", color=drawing.seller_styles(["imp"])["imp"].colour, ms=8)
    said = f"IMP posts \\${posted[model]:.2f}/h and earns \\${best:.1f}"
    axes.annotate(
        said, (posted[model], best), (10, 0), textcoords="offset points", va="center", backgroundcolor=drawing.PAPER
    )
    axes.set_xlabel(f"price of the model {market.catalogue.names[model]!r}, \\$/h (the others as IMP posts them)")
    axes.set_ylabel("seller's profit of the period, \\$")
    axes.set_title("Profit is continuous between thresholds (grey) and jumps where a customer switches", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    for draw in (theorem_1, theorem_2):
        drawing.save_both(draw(), Path(__file__).parent / f"{draw.__name__.replace('_', '-')}.png")
