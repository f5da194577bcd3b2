"""One environment transition of K lanes: actions → prices → settlement → observation and info.

The scalar environment is K = 1 of the same code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lmaas_env.engine import period
from lmaas_env.engine.observation import fill_sale, observe, post_actions, step_lanes
from lmaas_env.engine.parallel import in_threads
from lmaas_env.engine.period import Record
from lmaas_env.market import LEAST_LANES, Market, settlement_of
from lmaas_env.spaces import Float32Array, observation_size, sale_size
from lmaas_env.state import Draws, Settlement, State
from lmaas_env.types import FloatArray


class StepResult(NamedTuple):
    """What one step of K lanes brings.

    Attributes
    ----------
    prices : (K, S * M), of every offer, $/h
    draws : (H, K), those of the episodes
    record : of the period that ended; `settlement` names its parts
    state : the next state of all lanes
    sale : (K, Q), what the first seller remembers (`lmaas_env.spaces.first_sale`)
    observation : (K, D) float32, the first seller's, of the next state
    removed, added : (K,), Wh in the batteries of customers who left and came after the period
    """

    prices: FloatArray
    draws: Draws
    record: Record
    state: State
    sale: FloatArray
    observation: Float32Array
    removed: FloatArray | None = None
    added: FloatArray | None = None

    @property
    def settlement(self) -> Settlement:
        """What the period brought, every array with a leading axis of K; to be read before a lane is reset."""
        faded = self.draws.faded[self.draws.lanes_at(self.state.hour - 1)]
        return settlement_of(self.prices, faded, self.record)


def transition(market: Market, shown: Float32Array, actions: FloatArray, state: State, draws: Draws) -> StepResult:
    """Post actions (K, S * M) of all sellers for one period of K lanes; other shapes are not checked.

    Parameters
    ----------
    market : Market
    shown : (1 or K, C) float32
        The customers' constants that are seen (`lmaas_env.spaces.shown_constants`).
    actions : (K, S * M)
    state : State
        Of K lanes.
    draws : Draws
        With axes (H, K): those of each lane's hour are used, the last period's where the hour is beyond them.

    Raises
    ------
    ValueError
        If there is not one action per offer, or the state holds an impossible number.
    """
    if actions.shape[1] != market.offers:
        raise ValueError(f"actions have shape {actions.shape}, they must be of all {market.offers} offers")
    lanes, constants = len(actions), market.constants
    prices, record = np.empty(actions.shape), market.new_record(lanes)
    sale = np.empty((lanes, sale_size(market.scenario)))
    observation = np.empty((lanes, observation_size(market)), dtype=np.float32)
    before, drawn, result = tuple(state), tuple(draws), (prices, tuple(record), sale, observation)

    def step_some(first: int, last: int) -> bool:
        return step_lanes(tuple(constants), shown, actions, before, drawn, first, last, result)

    is_done = market.is_compiled and all(in_threads(step_some, lanes, LEAST_LANES))
    rows = record.per_customer
    after = State(record.hour, record.shadowing, rows[period.DEMAND], rows[period.CHARGE])
    if not is_done:  # other customers, or a number that breaks a rule
        post_actions(constants, actions, 0, lanes, prices, record)
        market.settle_batch(prices, state, draws, record)
        if sale.size:
            fill_sale(constants, prices, record, 0, 0, lanes, sale)
        observe(constants, shown, after, sale, 0, 0, lanes, observation)
    return StepResult(prices, draws, record, after, sale, observation)


def info_of(result: StepResult, lanes: int | slice = slice(None), seller: int = 0) -> dict[str, Any]:
    """Return the info of a step for a seller: of all lanes, with a leading axis of K, or of one as plain numbers.

    Where there are several, it also holds the ``posted`` prices of every offer, (S * M,), and the ``profits`` of all
    sellers, (S,).
    """
    record, sellers = result.record, result.record.per_seller.shape[2]
    models = result.prices.shape[1] // sellers
    own = slice(seller * models, (seller + 1) * models)
    of_lane, of_seller = record.per_lane[:, lanes], record.per_seller[:, lanes, seller]
    if isinstance(lanes, int):
        of_lane, of_seller = of_lane.tolist(), of_seller.tolist()
    info = {
        "profit": of_seller[period.PROFIT],
        "revenue": of_seller[period.REVENUE],
        "cost": of_seller[period.COST],
        "prices": result.prices[lanes, own],
        "customers_per_model": record.customers_per_model[lanes, own],
        "hours_per_model": record.hours_per_model[lanes, own],
        "customer_profit": of_lane[period.CUSTOMERS_PROFIT],
        "worst_case_profit": of_lane[period.CUSTOMERS_WORST_CASE],
        "faded_share": of_lane[period.FADED_SHARE],
        "clipped_share": of_seller[period.CLIPPED_SHARE],
    }
    if sellers > 1:
        info |= {"posted": result.prices[lanes], "profits": record.per_seller[period.PROFIT, lanes]}
    if result.removed is not None and result.added is not None:
        info |= {"removed": result.removed[lanes], "added": result.added[lanes]}
    return info
