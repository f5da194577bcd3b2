"""A warm start: before it learns, a guided policy imitates look-ahead IMP on training days."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from agents import LookaheadIMP
from agents.guide import Guide
from agents.lookahead import Plan
from lmaas_env.days import draw_days
from lmaas_env.market import Market, MarketState
from lmaas_env.spaces import observation_from_state, prices_from_action
from lmaas_env.types import FloatArray
from train.sb3 import encoded

EPOCHS, BATCH, LEARNING_RATE = 150, 512, 3e-3
TOLERANCE = 0.3  # Huber's, in units of the guide's span: a far-off price may be as good
UNSOLD = 0.2  # weight of models that nobody rented, which only have to be dear enough


def imitate(model: PPO, market: Market, guide: Guide, plan: Plan, seeds: range) -> float:
    """Fit the means of a model's actions to look-ahead IMP's prices on some days; return the last mean loss."""
    states, prices, sold = demonstrations(market, plan, seeds)
    seen = torch.as_tensor(encoded(market, guide, states))
    target = np.log(prices / guide.prices[np.asarray(states.hour)]) / guide.span
    wanted, rented = torch.as_tensor(target, dtype=torch.float32), torch.as_tensor(sold)
    optimiser = torch.optim.Adam(model.policy.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    losses: list[float] = []
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(seen)).split(BATCH):
            distribution: Any = model.policy.get_distribution(seen[rows]).distribution
            mean = distribution.mean
            error = mean - wanted[rows]
            dear_enough = ~rented[rows] & (error > 0.0)
            loss = torch.nn.functional.huber_loss(
                error, torch.zeros_like(error), reduction="none", delta=TOLERANCE
            ) * torch.where(rented[rows], 1.0, UNSOLD)
            mean_loss = torch.where(dear_enough, 0.0, loss).mean()
            optimiser.zero_grad()
            mean_loss.backward()
            optimiser.step()
            losses.append(float(mean_loss.detach()))
        schedule.step()
    return float(np.mean(losses))


def demonstrations(market: Market, plan: Plan, seeds: range) -> tuple[MarketState, FloatArray, np.ndarray]:
    """Return the states, prices (T, M) and whether anybody rented (T, M) of look-ahead IMP's days, hour after hour."""
    teacher = LookaheadIMP(market, plan=plan)
    state, draws = draw_days(market, seeds)
    states: list[MarketState] = []
    prices: list[FloatArray] = []
    sold: list[np.ndarray] = []
    for period in draws:
        action, _ = teacher.predict(observation_from_state(market, state, None))
        posted = prices_from_action(market, action)
        settlement, after = market.settle(posted, state, period)
        states.append(state)
        prices.append(posted)
        sold.append(settlement.customers_per_model > 0)
        state = after
    return (
        MarketState(*(np.concatenate(it) for it in zip(*states, strict=True))),
        np.concatenate(prices),
        np.concatenate(sold),
    )
