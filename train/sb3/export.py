"""From a trained SB3 model to a seller that needs neither SB3 nor torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from lmaas_agents.learned.policy import LearnedSeller
from lmaas_agents.learned.residual import Residual
from lmaas_agents.learned.spec import PolicySpec
from lmaas_train.networks import ACTIVATIONS
from lmaas_train.runs import command_line, versions
from lmaas_train.sb3.networks import CustomerFeatures
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from lmaas_env.market import Market
from lmaas_env.spaces import CLIP, observation_size


def export(
    model: PPO, market: Market, residual: Residual | None, population_seed: int, seed: int, scores: dict[str, Any]
) -> LearnedSeller:
    """Return the actor of an SB3 model, with its normaliser and plan, as a seller that needs neither SB3 nor torch.

    Raises
    ------
    ValueError
        If the policy is neither a perceptron nor one over customers with a diagonal Gaussian, or its activation is
        neither tanh nor ReLU.
    """
    policy: Any = model.policy
    hidden = list(policy.mlp_extractor.policy_net)
    layers = [*hidden[::2], policy.action_net]
    kinds = {type(module) for module in hidden[1::2]} or {nn.Tanh}
    extractor = policy.pi_features_extractor
    if isinstance(extractor, CustomerFeatures):
        kinds.add(type(extractor.encoder.activation))
    activation = next((name for name, kind in ACTIVATIONS.items() if kinds == {kind}), None)
    if (
        model.use_sde
        or activation is None
        or not isinstance(extractor, FlattenExtractor | CustomerFeatures)
        or not all(isinstance(layer, nn.Linear) for layer in layers)
    ):
        raise ValueError("only perceptrons with tanh or ReLU and without state-dependent exploration are exported")
    weights = {"log_std": policy.log_std}
    for i, layer in enumerate(layers):
        weights |= {f"layer{i}.weight": layer.weight, f"layer{i}.bias": layer.bias}
    if isinstance(extractor, CustomerFeatures):
        weights |= dict(extractor.encoder.named_parameters())
    arrays = {name: tensor.detach().cpu().numpy().copy() for name, tensor in weights.items()}
    clip = CLIP
    if not isinstance(extractor, CustomerFeatures):
        size = observation_size(market)
        normaliser: Any = model.get_vec_normalize_env()
        mean, variance = np.zeros(size), np.ones(size)  # observations that are not normalised are clipped already
        if normaliser is not None and normaliser.norm_obs:
            mean, variance = normaliser.obs_rms.mean.copy(), normaliser.obs_rms.var + normaliser.epsilon
            clip = float(normaliser.clip_obs)
        arrays |= {"observation_mean": mean, "observation_variance": variance}
    if residual is not None:
        arrays |= {"plan.prices": residual.plan.prices, "plan.energy_value": residual.plan.energy_value}
    spec = PolicySpec(
        scenario=market.scenario.to_dict(),
        population_seed=population_seed,
        observation_size=observation_size(market),
        action_size=int(np.prod(model.action_space.shape or ())),
        activation=activation,
        observation_clip=clip,
        policy="set" if isinstance(extractor, CustomerFeatures) else "flat",
        residual_scale=0.0 if residual is None else residual.residual_scale,
        snap_radius=0.0 if residual is None else residual.snap_radius,
        searches=0 if residual is None else residual.searches,
        algorithm="PPO",
        steps=model.num_timesteps,
        training_seed=seed,
        command=command_line(),
        versions=versions(),
        scores=scores,
    )
    return LearnedSeller(arrays, spec)
