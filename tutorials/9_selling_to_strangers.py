"""Tutorial 9: sell to customers that you do not know, and watch a belief about them narrow.

Run: python tutorials/9_selling_to_strangers.py (two minutes), or with --episodes 2 for a short trial. With
--figures FOLDER it draws strangers-episode.png and strangers-belief.png there.
"""

import argparse
from pathlib import Path

import numpy as np
from lmaas_agents import load_policy
from lmaas_agents.adaptive import OwnPlan, PriorPlan, ThompsonIMP
from lmaas_train.evaluation.rollout import rollout_each

from lmaas_env import LMaaSVectorEnv, Market
from lmaas_env.scenario import REGION_SIGMAS
from lmaas_env.seeds import held_out_seeds
from lmaas_env.spaces import prices_from_action

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--episodes", type=int, default=20, help="held-out episodes")
parser.add_argument("--show", type=int, default=2, help="which of them is shown hour by hour, from 0")
parser.add_argument("--figures", type=Path, help="folder for the figures")
args = parser.parse_args()

market = Market("unknown")
scenario, models = market.scenario, market.catalogue
seeds = list(held_out_seeds(args.episodes))
shown = min(args.show, args.episodes - 1)
sigma = np.array([getattr(scenario, name) for name in REGION_SIGMAS])
FACTORS = ("task value", "distance", "battery", "saturation")
MODEL = 0  # whose prices are shown


def sell(seller, watch=lambda memory: None):
    """Sell all episodes; return profit (H, K) in $ an hour, prices (H, K, M), and what was watched of the memory."""
    env = LMaaSVectorEnv(args.episodes, market=market)
    observation, info = env.reset(seed=seeds)
    memory, profit, prices, watched = None, [], [], []
    for hour in range(scenario.periods):
        # What sellers get is public: the clock, and the last prices, hours, customers and profit. `info` stays here.
        action, memory = seller.predict(observation, state=memory, episode_start=np.full(args.episodes, hour == 0))
        watched.append(watch(memory))
        prices.append(prices_from_action(market, action))
        observation, reward, *_ = env.step(action)
        profit.append(reward * market.population.size)
    return np.array(profit), np.array(prices), watched, info["region"]


def belief(memory):
    """Return mean and standard deviation of the region (K, 4), and quantiles 10, 50, 90 % of the one shown (3, 4)."""
    weight = np.array([one.weight for one in memory])
    mean = weight @ thompson.region
    deviation = np.sqrt(np.maximum(weight @ thompson.region**2 - mean**2, 0.0))
    quantiles = np.empty((3, 4))
    for factor, z in enumerate(thompson.region.T):
        order = np.argsort(z)
        quantiles[:, factor] = np.interp((0.1, 0.5, 0.9), np.cumsum(weight[shown][order]), z[order])
    return mean, deviation, quantiles


thompson = ThompsonIMP(market)
learned = load_policy("unknown-in-context")
sold = {"prior plan": sell(PriorPlan(market)), "in-context": sell(learned), "Thompson-IMP": sell(thompson, belief)}
*_, watched, region = sold["Thompson-IMP"]
mean, deviation, quantiles = (np.array(values) for values in zip(*watched, strict=True))

# The seller that knows who the customers are, but sees the clock only, is made with every episode.
own = rollout_each(market, OwnPlan, seeds)
sold["own plan"] = own.profit.T, own.prices.swapaxes(0, 1)
profit = {name: sales[0] for name, sales in sold.items()}
price = {name: sales[1][:, shown, MODEL] for name, sales in sold.items()}

print(f"episode {shown}: task values {np.exp(sigma * region[shown])[0]:.2f} times those of a usual region")
print(f"hour  belief about that factor (10 to 90 %)  price of {models.names[MODEL]}, $/h: {', '.join(price)}")
for hour in (0, 1, 2, 6, 9, 12, 18, 24, 36, 48, 60, 71):
    low, middle, high = np.exp(sigma[0] * quantiles[hour, :, 0])
    posted = "  ".join(f"{prices[hour]:6.2f}" for prices in price.values())
    print(f"{hour:4d}  {middle:5.2f} ({low:.2f} to {high:.2f})  {posted}")
print(f"\nstandard deviation of the belief, and its error, in {args.episodes} episodes (before the first sale: 1)")
print("hour  " + "  ".join(f"{name:>13}" for name in FACTORS))
for hour in (1, 6, 12, 24, 48, 71):
    error = np.sqrt(((mean[hour] - region) ** 2).mean(axis=0))
    pairs = zip(deviation[hour].mean(axis=0), error, strict=True)
    print(f"{hour:4d}  " + "  ".join(f"{width:6.2f} {miss:6.2f}" for width, miss in pairs))
print()
gap = (profit["own plan"] - profit["prior plan"]).sum()
for name, hourly in profit.items():
    by_day = "  ".join(f"{day:6.0f}" for day in hourly.reshape(3, 24, -1).sum(axis=1).mean(axis=1))
    score = (hourly - profit["prior plan"]).sum() / gap
    print(f"{name:>12}: {by_day} $ on days 1, 2, 3; score {score:.2f}")

if args.figures:
    from lmaas_env.render import drawing

    def finish(figure, title, name):
        """Label both halves of a figure and write it."""
        for axes in figure.axes:
            drawing.grid(axes)
            axes.set_xticks(range(0, scenario.periods + 1, 12))
            axes.set_xlabel("hour", size=drawing.SMALL)
            axes.legend(frameon=False, fontsize=drawing.SMALL, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncol=2)
        figure.suptitle(title, x=0.01, ha="left", size=drawing.LARGE, weight="bold")
        figure.tight_layout()
        drawing.save_both(figure, args.figures / name)

    hours, style = np.arange(scenario.periods), drawing.SELLERS
    looks = {
        "prior plan": style["prior-plan"],
        "own plan": style["own-plan"],
        "in-context": drawing.SellerStyle(drawing.LEARNED[0]),
        "Thompson-IMP": style["thompson"],
    }
    figure = drawing.new_figure(9.0, 4.6, 110)
    left, right = figure.subplots(1, 2)
    low, middle, high = np.exp(sigma[0] * quantiles[:, :, 0]).T
    left.fill_between(hours, low, high, color=looks["Thompson-IMP"].colour, alpha=0.2, linewidth=0)
    left.plot(hours, middle, color=looks["Thompson-IMP"].colour, label="belief: median, 10 to 90 %")
    left.axhline(np.exp(sigma * region[shown])[0], color=drawing.INK, ls="--", label="truth")
    left.set_yscale("log")
    left.set_yticks([0.25, 0.5, 1, 2, 4], ["¼", "½", "1", "2", "4"])
    left.minorticks_off()
    drawing.style(left, "Factor on task values")
    for name, look in looks.items():
        right.plot(hours, price[name], color=look.colour, ls=look.line, label=name)
    drawing.style(right, f"Price of the model {models.names[MODEL]!r}, $/h")
    finish(figure, "One episode: by noon the belief is near the truth, and prices follow", "strangers-episode.png")

    figure = drawing.new_figure(9.0, 4.6, 110)
    left, right = figure.subplots(1, 2)
    for factor, name in enumerate(FACTORS):
        left.plot(hours, deviation[:, :, factor].mean(axis=1), color=drawing.COLOURS[factor], label=name)
        error = np.sqrt(((mean[:, :, factor] - region[:, factor]) ** 2).mean(axis=1))
        left.plot(hours, error, color=drawing.COLOURS[factor], ls=":")
    left.set_ylim(0.0, 1.3)
    drawing.style(left, "Standard deviation of the belief (dotted: its error)")
    for name, look in looks.items():
        ahead = (profit[name] - profit["prior plan"]).mean(axis=1).cumsum()
        right.plot(hours + 1, ahead, color=look.colour, ls=look.line, label=name)
    drawing.style(right, "Profit ahead of the prior plan, $")
    title = f"Sales tell the task values by noon; profit follows ({args.episodes} episodes)"
    finish(figure, title, "strangers-belief.png")
