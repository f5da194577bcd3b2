"""One hour as a repeated game of two sellers: what it brings at each pair of prices, and measures of strategies on it.

Each seller chooses one of a few factors on the joint monopolist's prices of its own models. A strategy is the next
action by the last action of the first seller and of the second.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from lmaas_agents import JointIMP
from lmaas_train.evaluation.games import best_cycle, extreme_equilibrium
from lmaas_train.q_learning import Learned

from lmaas_env import Market, State
from lmaas_env.fades import SCENARIOS
from lmaas_env.reply import expected_draws, fade_scenarios
from lmaas_env.types import FloatArray, IntArray

FACTORS = np.geomspace(0.1, 1.3, 15)  # on the joint monopolist's prices; as many as the prices of Calvano et al. (2020)
LAGS = 15  # hours after a forced deviation that are shown
HORIZON = 400  # hours over which its profit is summed: 0.95 ** 400 is 1e-9
SAME = 1e-9  # $ an hour: less is no gain


class Game(NamedTuple):
    """What one hour brings at each pair of factors, $: sellers' profits (2, A, A), and of all customers (A, A).

    ``competitive`` is the highest total of both sellers in an equilibrium of the table, ``joint`` its highest total.
    """

    profit: FloatArray
    customer_profit: FloatArray
    worst_case_profit: FloatArray
    competitive: float
    joint: float


def hour_game(market: Market, state: State) -> Game:
    """Return the table of an hour at each pair of `FACTORS`: expected over fade patterns, settled as in the market."""
    scenario, models = market.scenario, market.catalogue.size
    alone = JointIMP(market).prices(state)
    pairs = np.array(list(itertools.product(FACTORS, FACTORS)))
    prices = np.clip(np.repeat(pairs, models, axis=1) * alone, scenario.price_floor, scenario.price_cap)
    profit, customer, worst = expected_hours(market, state, prices)
    size = len(FACTORS)
    rows = np.ascontiguousarray(profit.T.reshape(2, size, size))
    best = extreme_equilibrium(rows[0], rows[1], highest=True)
    competitive, joint = best.row_payoff + best.column_payoff, float(rows.sum(axis=0).max())
    if not joint > competitive:
        raise ValueError(f"hours: at {int(state.hour)} sellers earn no more together than in an equilibrium")
    return Game(rows, customer.reshape(size, size), worst.reshape(size, size), competitive, joint)


def expected_hours(market: Market, state: State, prices: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return what an hour brings at K price vectors (K, S * M), $: sellers (K, S), customers (K,), at worst (K,).

    Fades are expected over the patterns of `lmaas_env.reply.anticipated_profits`.
    """
    lanes = state.repeated(len(prices))
    settled = [
        market.settle(prices, lanes, expected_draws(market, faded, len(prices)))[0]
        for faded in fade_scenarios(market, SCENARIOS)
    ]
    return (
        np.mean([it.profit for it in settled], axis=0),
        np.mean([it.customer_profit.sum(axis=-1) for it in settled], axis=0),
        np.mean([it.worst_case_profit.sum(axis=-1) for it in settled], axis=0),
    )


def collusion_index(total: float, game: Game) -> float:
    """Return the collusion index of Calvano et al. (2020) for the total of both sellers."""
    return (total - game.competitive) / (game.joint - game.competitive)


def limit_cycle(learned: Learned) -> IntArray:
    """Return the actions (L, 2) of the cycle that strategies end in from the last actions on."""
    seen: dict[tuple[int, int], int] = {}
    now = (int(learned.last[0]), int(learned.last[1]))
    while now not in seen:
        seen[now] = len(seen)
        now = (int(learned.strategy[0][now]), int(learned.strategy[1][now]))
    return np.array(list(seen)[seen[now] :])


def best_reply_values(payoff: FloatArray, reply: IntArray, discount: float) -> FloatArray:
    """Return the most discounted profit against a strategy, by the other's next action, (A,).

    Parameters
    ----------
    payoff : (A, A)
        By one's own action and the other's.
    reply : (A, A)
        The other's next action by one's own last and the other's last.
    discount : float

    Notes
    -----
    What the other does next is all that matters of the past, so the problem has A states; by policy iteration.
    """
    count = len(payoff)
    states, policy = np.arange(count), payoff.argmax(axis=0)
    while True:
        step = np.eye(count)
        step[states, reply[policy, states]] -= discount
        value = np.linalg.solve(step, payoff[policy, states])
        worth = payoff + discount * value[reply]
        better = worth.max(axis=0) > worth[policy, states] + SAME
        if not better.any():
            return np.asarray(value, dtype=np.float64)
        policy = np.where(better, worth.argmax(axis=0), policy)


def _sides(game: Game, learned: Learned, i: int) -> tuple[FloatArray, IntArray]:
    """Return a seller's profits and the other's strategy, both by the seller's own action first."""
    own, other = game.profit[i], learned.strategy[1 - i]
    return (own, other) if i == 0 else (own.T, other.T)


def discounted(profit: FloatArray, discount: float) -> FloatArray:
    """Return the discounted profit per hour, (1 - discount) times the sum, from each hour of a cycle on, (L,)."""
    length = len(profit)
    weight = discount ** np.arange(length) * (1.0 - discount) / (1.0 - discount**length)
    return np.array([float(weight @ np.roll(profit, -k)) for k in range(length)])


def gains(game: Game, learned: Learned, path: IntArray, i: int, discount: float) -> tuple[float, float, float]:
    """Return what a seller would gain on a path: by the best hour, the best reply to the strategy, the best cycle."""
    payoff, reply = _sides(game, learned, i)
    own, other = path[:, i], path[:, 1 - i]
    earned = payoff[own, other]
    hour = float((payoff.max(axis=0)[other] - earned).mean())
    best = (1.0 - discount) * best_reply_values(payoff, reply, discount)[other]
    gain = float((best - discounted(earned, discount)).mean())
    reached = _reachable(reply, other)
    edges = np.full((len(reached), len(reached)), -1e6)  # no edge
    for k, b in enumerate(reached):
        for a in range(len(payoff)):
            after = reached.index(int(reply[a, b]))
            edges[k, after] = max(edges[k, after], payoff[a, b])
    return hour, max(gain, 0.0), max(best_cycle(edges)[0] - float(earned.mean()), 0.0)


def _reachable(reply: IntArray, first: IntArray) -> list[int]:
    """Return the other's actions that some own actions lead to."""
    found = {int(b) for b in first}
    while True:
        after = found | {int(it) for b in found for it in reply[:, b]}
        if after == found:
            return sorted(found)
        found = after


def deviation(game: Game, learned: Learned, path: IntArray, discount: float) -> tuple[float, float, FloatArray]:
    """Force a best reply of one hour on either seller at every hour of a path; then both follow their strategies.

    Returns the mean gain of discounted profit per hour, the share of deviations that pay, and the mean logarithms of
    prices relative to those without, (LAGS + 1, 2), the deviator's first; NaN if no deviation pays in its hour.
    """
    logs, weight = np.log(FACTORS), (1.0 - discount) * discount ** np.arange(HORIZON)
    added, prices = list[float](), list[FloatArray]()
    for i, phase in itertools.product((0, 1), range(len(path))):
        payoff, _ = _sides(game, learned, i)
        stays = path[(phase + np.arange(HORIZON)) % len(path)]
        best = int(payoff[:, stays[0, 1 - i]].argmax())
        if payoff[best, stays[0, 1 - i]] <= payoff[stays[0, i], stays[0, 1 - i]] + SAME:
            continue
        moved = np.empty_like(stays)
        moved[0] = stays[0]
        moved[0, i] = best
        for t in range(1, HORIZON):
            last = tuple(moved[t - 1])
            moved[t] = learned.strategy[0][last], learned.strategy[1][last]
        earned = payoff[moved[:, i], moved[:, 1 - i]] - payoff[stays[:, i], stays[:, 1 - i]]
        added.append(float(weight @ earned))
        change = (logs[moved] - logs[stays])[: LAGS + 1]
        prices.append(change[:, [i, 1 - i]])
    if not added:
        return np.nan, np.nan, np.full((LAGS + 1, 2), np.nan)
    return float(np.mean(added)), float((np.array(added) > SAME).mean()), np.mean(prices, axis=0)
