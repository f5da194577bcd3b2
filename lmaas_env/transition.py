"""One environment transition of K lanes: actions → prices → settlement → observation and info.

The scalar environment is K = 1 of the same code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lmaas_env.engine.observation import View, last_sale_of, observe, prices_from_actions
from lmaas_env.market import Market
from lmaas_env.spaces import Float32Array
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.types import FloatArray


class StepResult(NamedTuple):
    """What one step of K lanes brings.

    Attributes
    ----------
    settlement : of the period that ended, every array with a leading axis of K
    state : the next state of all lanes
    sale : (K, 3 M + 1), what a seller with public information remembers; (K, 0) where it sees the state
    observation : (K, D) float32, of the next state
    clipped_share : (K,), of each lane's actions
    """

    settlement: Settlement
    state: State
    sale: FloatArray
    observation: Float32Array
    clipped_share: FloatArray


def transition(market: Market, view: View, actions: FloatArray, state: State, draws: Draws) -> StepResult:
    """Post actions (K, M) for one period of K lanes; shapes are not checked.

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    prices, clipped_share = prices_from_actions(actions, view.price_floor, view.price_cap)
    settlement, after = market.settle_batch(prices, state, draws)
    sale = last_sale_of(view, settlement)
    return StepResult(settlement, after, sale, observe(view, after, sale), clipped_share)


def info_of(result: StepResult) -> dict[str, Any]:
    """Return the info of a step, every entry an array with a leading axis of K."""
    settlement = result.settlement
    return {
        "profit": settlement.profit,
        "revenue": settlement.revenue,
        "cost": settlement.cost,
        "prices": settlement.prices,
        "customers_per_model": settlement.customers_per_model,
        "hours_per_model": settlement.hours_per_model,
        "customer_profit": settlement.customer_profit.sum(axis=1),
        "worst_case_profit": settlement.worst_case_profit.sum(axis=1),
        "faded_share": settlement.faded.mean(axis=(1, 2)),
        "clipped_share": result.clipped_share,
    }
