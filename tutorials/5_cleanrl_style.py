"""Tutorial 5: PPO in one file, in CleanRL's style, with torch and the vector environment only.

Run: python tutorials/5_cleanrl_style.py (200,000 steps, a minute or two), or with --total-timesteps 5000 for a trial.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from lmaas_agents import IMP
from lmaas_train.evaluation.rollout import rollout
from torch import nn
from torch.distributions import Normal

from lmaas_env.seeds import held_out_seeds, training_seeds
from lmaas_env.vector_env import LMaaSVectorEnv


@dataclass
class Args:
    """PPO on LMaaS in one file."""

    scenario: str = "day"
    """Preset or YAML file."""
    seed: int = 1
    """Training seed, 1 to 499; different seeds train on different days."""
    total_timesteps: int = 200_000
    """Steps of all environments together, including reset steps."""
    num_envs: int = 32
    """Environments of the vector environment."""
    num_steps: int = 25
    """Steps of each environment between two updates: a day of 24 hours and the reset step that follows it."""
    learning_rate: float = 1e-3
    """Initial value; it decreases linearly to 0."""
    gamma: float = 0.95
    """Discount per hour."""
    gae_lambda: float = 0.8
    """Lambda of generalised advantage estimation."""
    update_epochs: int = 10
    """Epochs per update."""
    num_minibatches: int = 1
    """Minibatches per epoch."""
    clip_coef: float = 0.2
    """Clipping range of the probability ratio."""
    vf_coef: float = 0.5
    """Weight of the value loss."""
    max_grad_norm: float = 0.5
    """Gradients are clipped to this norm."""
    reward_scale: float = 0.1
    """Rewards are 1 to 4 $ per customer and hour; this factor keeps returns near 1."""
    eval_days: int = 40
    """Held-out days of the final evaluation."""


def perceptron(inputs: int, outputs: int, last: float) -> nn.Sequential:
    """Two hidden layers of 64; a small last layer starts the policy at the middle of the price range."""
    layers = [nn.Linear(inputs, 64), nn.Linear(64, 64), nn.Linear(64, outputs)]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, last), strict=True):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.Tanh(), layers[1], nn.Tanh(), layers[2])


class Agent(nn.Module):
    """Actor and critic. With `predict` it is a seller, which can be compared with IMP."""

    def __init__(self, observation_size: int, models: int) -> None:
        super().__init__()
        self.critic = perceptron(observation_size, 1, last=1.0)
        self.actor = perceptron(observation_size, models, last=0.01)
        self.log_std = nn.Parameter(torch.full((models,), -0.5))

    def distribution(self, observation: torch.Tensor) -> Normal:
        """Return the distribution of actions."""
        return Normal(self.actor(observation), self.log_std.exp())

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """Return (action, state) for one observation or a batch."""
        with torch.no_grad():
            policy = self.distribution(torch.as_tensor(observation))
            return (policy.mean if deterministic else policy.sample()).numpy(), state


def train(args: Args) -> tuple[LMaaSVectorEnv, Agent]:
    """Train; return the environment and the agent."""
    torch.manual_seed(args.seed)
    envs = LMaaSVectorEnv(args.num_envs, args.scenario)  # autoreset mode NextStep, Gymnasium's default
    agent = Agent(envs.single_observation_space.shape[0], envs.single_action_space.shape[0])
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = (args.num_steps, args.num_envs)
    observations = torch.zeros((*shape, *envs.single_observation_space.shape))
    actions = torch.zeros((*shape, *envs.single_action_space.shape))
    logprobs, rewards, values, terminated, counts = torch.zeros((5, *shape))

    observation = torch.as_tensor(envs.reset(seed=training_seeds(args.seed, args.num_envs)[0])[0])
    over = np.zeros(args.num_envs, dtype=bool)  # environments whose day has ended: their next step is a reset step
    day, finished, decisions = np.zeros(args.num_envs), [], 0
    began, updates = time.perf_counter(), max(1, args.total_timesteps // (args.num_envs * args.num_steps))
    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1.0 - update / updates)
        for step in range(args.num_steps):
            with torch.no_grad():
                policy = agent.distribution(observation)
                action = policy.sample()
                logprobs[step], values[step] = policy.log_prob(action).sum(1), agent.critic(observation).squeeze(1)
            observations[step], actions[step] = observation, action
            # In NextStep mode the step after the end of a day ignores its action; its reward of 0 is not a decision's.
            counts[step] = torch.as_tensor(~over)
            following, reward, over, _, _ = envs.step(action.numpy())
            rewards[step], terminated[step] = torch.as_tensor(args.reward_scale * reward), torch.as_tensor(over)
            observation = torch.as_tensor(following)
            day += envs.market.population.size * reward
            finished += day[over].tolist()
            day[over] = 0.0

        with torch.no_grad():  # advantages; the end of a day is terminal: no bootstrapping across it
            advantages, running = torch.zeros(shape), torch.zeros(args.num_envs)
            value = agent.critic(observation).squeeze(1)
            for t in reversed(range(args.num_steps)):
                goes_on = 1.0 - terminated[t]
                error = rewards[t] + args.gamma * goes_on * value - values[t]
                running = error + args.gamma * args.gae_lambda * goes_on * running
                advantages[t], value = running, values[t]
        returns = advantages + values

        rows = counts.flatten().nonzero().squeeze(1)  # decisions only
        decisions += len(rows)
        for _ in range(args.update_epochs):
            for batch in rows[torch.randperm(len(rows))].chunk(args.num_minibatches):
                seen = observations.flatten(0, 1)[batch]
                policy = agent.distribution(seen)
                new = policy.log_prob(actions.flatten(0, 1)[batch]).sum(1)
                ratio = (new - logprobs.flatten()[batch]).exp()
                gain = advantages.flatten()[batch]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                clipped = ratio.clamp(1.0 - args.clip_coef, 1.0 + args.clip_coef)
                policy_loss = -torch.min(ratio * gain, clipped * gain).mean()
                value_loss = 0.5 * (agent.critic(seen).squeeze(1) - returns.flatten()[batch]).square().mean()
                optimizer.zero_grad()
                (policy_loss + args.vf_coef * value_loss).backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()

        steps = (update + 1) * args.num_envs * args.num_steps
        if finished and (update + 1) % max(1, updates // 10) == 0:
            speed = steps / (time.perf_counter() - began)
            mean = np.mean(finished[-64:])
            print(f"step {steps:7d}, decision {decisions:7d}: last days {mean:6.0f} $, {speed:6.0f} steps/s")
    return envs, agent


def main(args: Args) -> None:
    """Train, then compare with IMP on held-out days."""
    torch.set_num_threads(1)  # more threads slow down networks of this size
    envs, agent = train(args)
    seeds = held_out_seeds(args.eval_days)
    earned = rollout(envs.market, agent, seeds).day_profit.mean()
    reference = rollout(envs.market, IMP(envs.market), seeds).day_profit.mean()
    print(f"{args.eval_days} held-out days: PPO {earned:.0f} $, IMP {reference:.0f} $, ratio {earned / reference:.3f}")


if __name__ == "__main__":
    main(tyro.cli(Args))
