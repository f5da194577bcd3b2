"""Games between sellers: the equilibria of a payoff matrix, and the best cycle against a rival that replies."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from lmaas_env.checks import array_in
from lmaas_env.types import FloatArray

TOLERANCE = 1e-9  # relative to the payoffs: what a deviation may gain, and a probability may lack
MOST_STRATEGIES = 8  # of each player; the supports of equal size are 12,870 pairs then


class Equilibrium(NamedTuple):
    """A Nash equilibrium of two players.

    Attributes
    ----------
    row, column : (I,) and (J,), probability of each strategy
    row_payoff, column_payoff : expected
    """

    row: FloatArray
    column: FloatArray
    row_payoff: float
    column_payoff: float


def nash_equilibria(row_payoffs: FloatArray, column_payoffs: FloatArray) -> list[Equilibrium]:
    """Return the Nash equilibria of a bimatrix game whose supports have equal sizes: all, if it is not degenerate.

    By support enumeration (Nisan et al., "Algorithmic game theory", 2007, algorithm 3.4): for every pair of supports,
    the mixtures that leave the other player indifferent, kept if no strategy outside the support pays more.

    Parameters
    ----------
    row_payoffs, column_payoffs : (I, J)

    Returns
    -------
    list of Equilibrium
        The largest sum of payoffs first.

    Raises
    ------
    ValueError
        If the matrices differ in shape, a number is not finite, or a player has more than 8 strategies.
    """
    rows = array_in("row_payoffs", row_payoffs, (None, None))
    columns = array_in("column_payoffs", column_payoffs, rows.shape)
    if max(rows.shape) > MOST_STRATEGIES:
        raise ValueError(f"row_payoffs has shape {rows.shape}, a player may have at most {MOST_STRATEGIES} strategies")
    slack = TOLERANCE * max(1.0, float(np.abs([rows, columns]).max()))
    found: list[Equilibrium] = []
    for size in range(1, min(rows.shape) + 1):
        for mine in itertools.combinations(range(rows.shape[0]), size):
            for theirs in itertools.combinations(range(rows.shape[1]), size):
                own = _indifferent(columns[np.ix_(mine, theirs)].T)  # the row's mixture leaves the column indifferent
                other = _indifferent(rows[np.ix_(mine, theirs)])
                if own is None or other is None:
                    continue
                row, column = np.zeros(rows.shape[0]), np.zeros(rows.shape[1])
                row[list(mine)], column[list(theirs)] = own, other
                pays, others_pay = rows @ column, row @ columns
                value, others_value = float(row @ pays), float(others_pay @ column)
                if pays.max() <= value + slack and others_pay.max() <= others_value + slack:
                    found.append(Equilibrium(row, column, value, others_value))
    return sorted(found, key=lambda it: -(it.row_payoff + it.column_payoff))


def _indifferent(payoffs: FloatArray) -> FloatArray | None:
    """Return the probabilities (J,) of columns for which all rows of payoffs (I, J) pay the same, None without any."""
    size = len(payoffs)
    system = np.zeros((size + 1, size + 1))
    system[:size, :size], system[:size, size], system[size, :size] = payoffs, -1.0, 1.0
    try:
        weights = np.linalg.solve(system, np.append(np.zeros(size), 1.0))[:size]
    except np.linalg.LinAlgError:
        return None
    return weights.clip(0.0) if weights.min() >= -TOLERANCE else None


def extreme_equilibrium(row_payoffs: FloatArray, column_payoffs: FloatArray, highest: bool) -> Equilibrium:
    """Return the Nash equilibrium of a bimatrix game with the highest sum of payoffs, or the lowest.

    By the mixed-integer program of Sandholm, Gilpin and Conitzer (2005): a strategy is not played, or pays what the
    best one does. It takes seconds with 15 strategies of each player, where support enumeration takes hours.

    Raises
    ------
    ValueError
        If the matrices differ in shape or a number is not finite.
    RuntimeError
        If the solver fails; every game has an equilibrium.
    """
    rows = array_in("row_payoffs", row_payoffs, (None, None))
    columns = array_in("column_payoffs", column_payoffs, rows.shape)
    one, two = rows.shape
    count = one + two
    # Variables: probabilities of both, whether each strategy is left out (0 or 1), the payoffs of both.
    spread = np.repeat([np.ptp(rows), np.ptp(columns)], (one, two))
    pays = np.block([[np.zeros((one, one)), rows], [columns.T, np.zeros((two, two))]])
    owner = np.zeros((count, 2))
    owner[:one, 0], owner[one:, 1] = 1.0, 1.0
    short = np.hstack([-pays, np.zeros((count, count)), owner])  # what a strategy pays less than the best
    bounded = np.hstack([-pays, -np.diag(spread), owner])
    left_out = np.hstack([np.eye(count), np.eye(count), np.zeros((count, 2))])
    sums = np.hstack([owner.T, np.zeros((2, count + 2))])
    limits = Bounds(np.append(np.zeros(2 * count), 2 * [-np.inf]), np.append(np.ones(2 * count), 2 * [np.inf]))
    found = milp(
        np.append(np.zeros(2 * count), 2 * [-1.0 if highest else 1.0]),
        integrality=np.repeat([0, 1, 0], (count, count, 2)),
        bounds=limits,
        constraints=[
            LinearConstraint(short, 0.0),
            LinearConstraint(bounded, ub=0.0),
            LinearConstraint(left_out, ub=1.0),
            LinearConstraint(sums, 1.0, 1.0),
        ],
    )
    if found.x is None:
        raise RuntimeError(f"no equilibrium was found: {found.message}")
    row, column = found.x[:one], found.x[one:count]
    return Equilibrium(row, column, float(row @ rows @ column), float(row @ columns @ column))


def best_cycle(rewards: FloatArray) -> tuple[float, list[int]]:
    """Return the largest mean reward of a cycle in a complete graph, and its nodes in order.

    Karp (1978): with D_k(v) the largest reward of a walk of k edges that ends in v, the largest mean is
    max_v min_k (D_n(v) - D_k(v)) / (n - k), and the walk of n edges to the best v holds such a cycle.

    Parameters
    ----------
    rewards : (K, K)
        Of the edge from each node (row) to each (column).

    Raises
    ------
    ValueError
        If the matrix is not square or a number is not finite.
    """
    edges = array_in("rewards", rewards, (len(rewards), len(rewards)))
    count = len(edges)
    walks, before = np.zeros((count + 1, count)), np.zeros((count + 1, count), dtype=np.int64)
    for k in range(1, count + 1):
        lengths = walks[k - 1][:, None] + edges
        before[k], walks[k] = lengths.argmax(axis=0), lengths.max(axis=0)
    left = (count - np.arange(count))[:, None]
    means = ((walks[count] - walks[:count]) / left).min(axis=0)
    node = int(means.argmax())
    walk = [node]
    for k in range(count, 0, -1):
        walk.append(int(before[k, walk[-1]]))
    walk.reverse()
    return _best_part(edges, walk)


def _best_part(edges: FloatArray, walk: list[int]) -> tuple[float, list[int]]:
    """Return the cycle of largest mean reward among those that a walk closes, and that mean."""
    best, cycle = -np.inf, list[int]()
    open_nodes: list[int] = []
    for node in walk:
        if node in open_nodes:
            start = open_nodes.index(node)
            closed = open_nodes[start:]
            mean = float(np.mean([edges[a, b] for a, b in zip(closed, [*closed[1:], node], strict=True)]))
            if mean > best:
                best, cycle = mean, closed
            open_nodes = open_nodes[:start]
        open_nodes.append(node)
    return best, cycle
