"""Tutorial 1: your first seller, compared with IMP on held-out days (python tutorials/1_first_seller.py)."""

import numpy as np
from lmaas_agents import IMP, PricingSeller
from lmaas_train.evaluation.rollout import rollout

from lmaas_env import Market
from lmaas_env.seeds import held_out_seeds, tuning_seeds


class DemandSeller(PricingSeller):
    """Base prices that follow the hour's demand: high at the peak, low at night."""

    def __init__(self, market: Market, base: np.ndarray, swing: float) -> None:
        super().__init__(market)
        self.base, self.swing = base, swing

    def prices(self, state) -> np.ndarray:
        """Return the price of each model in $/h; the state has hour, shadowing, demand and charge."""
        return self.base * self.market.demand_factor(state.hour) ** self.swing


market = Market("day")
base = np.array([12.0, 20.0, 30.0, 40.0])
print("day profit in $ by swing, on 10 tuning days:")
profits = {}
for swing in (0.0, 0.3, 0.6, 0.9):
    profits[swing] = rollout(market, DemandSeller(market, base, swing), tuning_seeds(10)).day_profit.mean()
    print(f"  {swing:.1f}  {profits[swing]:.0f}")
best = max(profits, key=profits.get)

print("on 10 held-out days:")
for name, seller in {"yours": DemandSeller(market, base, best), "imp": IMP(market)}.items():
    days = rollout(market, seller, held_out_seeds(10))
    customers = days.customer_profit.sum(axis=1).mean()
    print(f"  {name:<6} {days.day_profit.mean():.0f} $ a day, customers' profit {customers:.0f} $")
