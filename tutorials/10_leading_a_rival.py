"""Tutorial 10: sell beside a rival that replies to your prices, and see who leads them up.

Run: python tutorials/10_leading_a_rival.py (a minute), or with --days 2 for a short trial. With --figures FOLDER it
draws rivals-day.png there.
"""

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
from lmaas_agents import IMP, Planner, PredictiveIMP, load_policy
from lmaas_train.evaluation.rollout import rollout

import lmaas_env  # noqa: F401  (registers the environments)
from lmaas_env.seeds import held_out_seeds

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--days", type=int, default=20, help="held-out days")
parser.add_argument("--figures", type=Path, help="folder for the figure")
args = parser.parse_args()

env = gym.make("LMaaS-Rival-v0", rival="imp")  # the rival replies best to our prices of an hour ago
market = env.unwrapped.market
seeds = held_out_seeds(args.days)
sellers = {
    "imp": IMP(market),
    "predictive-imp": PredictiveIMP(market),
    "planner": Planner(market),
    "rival-ppo": load_policy("rival-ppo"),
}


def sell_a_day(seller):
    """Return the cheapest price of both sellers (H, 2) in $/h, and what both earn (H, 2) in $."""
    observation, _ = env.reset(seed=seeds[0])
    cheapest, profits, over = [], [], False
    while not over:
        action, _ = seller.predict(observation)
        observation, _, over, _, info = env.step(action)
        cheapest.append(info["posted"].reshape(2, -1).min(axis=1))
        profits.append(info["profits"])
    return np.array(cheapest), np.array(profits)


shown = {name: sell_a_day(sellers[name]) for name in ("imp", "planner", "rival-ppo")}
print("cheapest price, $/h, and profit, $: ours, the rival's")
print("hour  " + "   ".join(f"{name:^27}" for name in shown))
for hour in range(9, 21):
    cells = [
        "{:6.2f} {:6.2f} {:6.1f} {:6.1f}".format(*prices[hour], *profits[hour]) for prices, profits in shown.values()
    ]
    print(f"{hour:4d}  " + "   ".join(cells))

print(f"\n$ a day, {args.days} held-out days: ours, the rival's, the customers'")
for name, seller in sellers.items():
    sold = rollout(market, seller, seeds)
    own, other = sold.day_profit.mean(), sold.rival_day_profit.mean()
    print(f"{name:>15} {own:6.0f} {other:6.0f} {sold.customer_profit.sum(axis=1).mean():6.0f}")

if args.figures:
    from lmaas_env.render import drawing

    figure, styles = drawing.new_figure(10.0, 3.8, 110), drawing.seller_styles(shown)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    for axes, (name, (prices, profits)) in zip(figure.subplots(1, 3, sharey=True), shown.items(), strict=True):
        hours = np.arange(len(prices))
        axes.step(hours, prices[:, 0], where="mid", color=styles[name].colour, lw=2, label=drawing.seller_label(name))
        axes.step(hours, prices[:, 1], where="mid", color=drawing.GREY, lw=1.5, ls="--", label="rival")
        axes.set_xlabel("hour", size=drawing.SMALL)
        axes.set_xticks(range(0, 25, 6))
        drawing.style(
            axes, f"{drawing.seller_label(name)}: {profits[:, 0].sum():,.0f} $, rival {profits[:, 1].sum():,.0f} $"
        )
        drawing.grid(axes)
        axes.legend(frameon=False, fontsize=drawing.SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncol=2)
    figure.axes[0].set_yscale("log")
    figure.axes[0].set_yticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
    figure.axes[0].minorticks_off()
    figure.axes[0].set_ylabel("cheapest price, $/h", size=drawing.SMALL)
    figure.suptitle("Who withdraws for an hour leads the rival's prices up", x=0.01, ha="left", weight="bold")
    drawing.save_both(figure, args.figures / "rivals-day.png")
