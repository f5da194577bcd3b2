"""A warm start: before it learns, a residual policy imitates look-ahead IMP on training days."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lmaas_agents import LookaheadIMP
from lmaas_agents.learned.residual import Residual
from lmaas_train.sb3.vec_env import encoded
from stable_baselines3 import PPO

from lmaas_env.market import Market
from lmaas_env.seeds import draw_days
from lmaas_env.spaces import observation_from_state, prices_from_action

EPOCHS, BATCH, LEARNING_RATE = 150, 512, 3e-3
TOLERANCE = 0.3  # Huber's, in units of the residual scale: a far-off price may be as good
UNSOLD = 0.2  # weight of models without customers, which only have to be dear enough


def imitate(model: PPO, market: Market, residual: Residual, seeds: range) -> None:
    """Fit the means of a model's actions, one over customers, to look-ahead IMP's prices on some days."""
    seen, wanted, rented = demonstrated(market, residual, seeds)
    optimiser = torch.optim.Adam(model.policy.parameters(), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
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
        schedule.step()


def demonstrated(market: Market, residual: Residual, seeds: range) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what look-ahead IMP saw (T, D), its prices as outputs (T, M) and which models had customers (T, M)."""
    teacher = LookaheadIMP(market, plan=residual.plan)
    state, draws = draw_days(market, seeds)
    hours: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for hour in range(market.scenario.periods):
        action, _ = teacher.predict(observation_from_state(market, state))
        prices = prices_from_action(market, action)
        settlement, after = market.settle(prices, state, draws.at(hour))
        outputs = np.log(prices / residual.plan.prices[hour]) / residual.residual_scale
        hours.append((encoded(market, residual, state), outputs.astype(np.float32), settlement.customers_per_model > 0))
        state = after
    seen, outputs, rented = (torch.as_tensor(np.concatenate(it)) for it in zip(*hours, strict=True))
    return seen, outputs, rented
