"""One environment transition of K lanes: actions → prices → settlement → observation and info.

The scalar environment is K = 1 of the same code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lmaas_env.engine import period
from lmaas_env.engine.observation import View, last_sale_of, observe, prices_from_actions
from lmaas_env.engine.period import Record
from lmaas_env.market import Market, settlement_of, state_after
from lmaas_env.spaces import Float32Array, first_sale
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.types import BoolArray, FloatArray


class StepResult(NamedTuple):
    """What one step of K lanes brings.

    Attributes
    ----------
    prices : (K, M), $/h
    clipped_share : (K,), of each lane's actions
    faded : (K, N, L) bool
    record : of the period that ended; `settlement` names its parts
    state : the next state of all lanes
    sale : (K, 3 M + 1), what a seller with public information remembers; (K, 0) where it sees the state
    observation : (K, D) float32, of the next state
    """

    prices: FloatArray
    clipped_share: FloatArray
    faded: BoolArray
    record: Record
    state: State
    sale: FloatArray
    observation: Float32Array

    @property
    def settlement(self) -> Settlement:
        """What the period brought, every array with a leading axis of K."""
        return settlement_of(self.prices, self.faded, self.record)


def transition(market: Market, view: View, actions: FloatArray, state: State, draws: Draws) -> StepResult:
    """Post actions (K, M) for one period of K lanes; shapes are not checked.

    Raises
    ------
    ValueError
        If the state holds an impossible number.
    """
    prices, clipped_share = prices_from_actions(actions, view.price_floor, view.price_cap)
    record = market.settle_batch(prices, state, draws)
    after = state_after(state.hour, record)
    sale = last_sale_of(view, prices, record) if view.is_public else first_sale(market, len(prices))
    return StepResult(prices, clipped_share, draws.faded, record, after, sale, observe(view, after, sale))


def info_of(result: StepResult, lanes: int | slice = slice(None)) -> dict[str, Any]:
    """Return the info of a step: of all lanes, as arrays with a leading axis of K, or of one as plain numbers."""
    record, of_lane = result.record, result.record.per_lane[:, lanes]
    sums = of_lane.tolist() if isinstance(lanes, int) else of_lane
    clipped_share = result.clipped_share[lanes]
    return {
        "profit": sums[period.PROFIT],
        "revenue": sums[period.REVENUE],
        "cost": sums[period.COST],
        "prices": result.prices[lanes],
        "customers_per_model": record.customers_per_model[lanes],
        "hours_per_model": record.hours_per_model[lanes],
        "customer_profit": sums[period.CUSTOMERS_PROFIT],
        "worst_case_profit": sums[period.CUSTOMERS_WORST_CASE],
        "faded_share": sums[period.FADED_SHARE],
        "clipped_share": float(clipped_share) if isinstance(lanes, int) else clipped_share,
    }
