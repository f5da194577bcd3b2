"""Tutorial 4: RSR on your own rental terms, without a market (python tutorials/4_rsr_on_own_terms.py).

One customer, two models, three slots, at most one fade. The last axis is the fade state: nominal, faded.
"""

import dataclasses

import numpy as np

from lmaas_env import RentalTerms
from lmaas_env.rsr import rent, solve

prices = [5.0, 9.0]  # $ per rented hour
terms = RentalTerms(
    task_value=np.array([[3.0, 2.0, 1.0]]),  # $ per slot, most valuable first
    fade_budget=np.array([1]),  # slots that may fade
    saturation=np.array([20.0]),  # kappa, 1/h
    energy=np.array([6.0]),  # Wh in the battery
    setup_cost=np.array([[0.02, 0.10]]),  # $ per period
    quality=np.array([[[0.80, 0.60], [0.95, 0.90]]]),
    airtime_cost=np.array([[[0.4, 1.0], [0.1, 0.3]]]),  # $/h
    power=np.array([[[4.2, 4.5], [20.0, 20.2]]]),  # W
    max_hours=np.array([[[1 / 3, 1 / 4], [1 / 3, 1 / 3]]]),  # h per slot
)

for energy, faded in [(6.0, [False, False, False]), (1.5, [False, True, True])]:
    now = dataclasses.replace(terms, energy=np.array([energy]))
    plan = solve(now, prices)  # before the fades are known; in the worst case the most valuable slot fades
    model = int(plan.choice[0])
    print(f"\n{energy} Wh in the battery")
    print(f"  guaranteed profit W by model: {plan.worst_case_profit[0].round(8)} $, selected: model {model + 1}")
    print(f"  hours planned for the worst case: {plan.planned_hours[0, model].round(8)}")
    rental = rent(now, plan.choice, prices, np.array([faded]))
    print(f"  fades come true in {sum(faded)} slots: rented {rental.hours[0].round(8)} h")
    print(f"  profit {rental.profit[0]:.8f} $, {rental.energy[0]:.8f} Wh used")

try:  # RSR is exact only if fades never help, so terms with a fade that helps raise an error
    dataclasses.replace(terms, quality=terms.quality[..., ::-1])
except ValueError as error:
    print(f"\na fade that helps: {error}")
