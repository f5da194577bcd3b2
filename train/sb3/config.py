"""SB3Config: hyper-parameters under Stable-Baselines3's names, one YAML file per kind of market."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from lmaas_agents.learned.spec import ACTIVATIONS
from lmaas_train.settings import from_yaml

from lmaas_env.fields import close_match, shown
from lmaas_env.scenario import Scenario

CONFIGS = Path(__file__).parents[1] / "configs"
POLICIES = ("flat", "set")
MANY = 200  # customers, beyond which imitating look-ahead IMP takes longer than the training that it spares


def _number(default: float, low: float, high: float) -> Any:
    return dataclasses.field(default=default, metadata={"low": low, "high": high})


@dataclasses.dataclass(frozen=True)
class SB3Config:
    """PPO's hyper-parameters, checked on construction.

    Attributes
    ----------
    n_envs, n_steps : lanes, and periods of each lane between two updates
    batch_size, n_epochs : of the updates; batch_size divides n_envs * n_steps
    learning_rate, learning_rate_end : at the start and, falling linearly, at the end of training
    gamma, gae_lambda, clip_range, ent_coef, vf_coef, max_grad_norm : as in Stable-Baselines3
    net_arch : widths of the hidden layers, the same for actor and critic
    activation : ``tanh`` or ``relu``
    log_std_init : log of the first standard deviation of an action
    norm_obs, norm_reward : whether running statistics scale observations and rewards
    policy : ``flat``, a perceptron of the observation, or ``set``, customer by customer
    encoder : width of what the policy ``set`` makes of every customer
    residual_scale, snap_radius : of residual pricing (`lmaas_agents.learned.residual.Residual`); with a scale of 0 the
        policy prices without a plan
    searches : local searches that refine the prices of the trained policy; while it trains, there are none
    shaping : whether rewards hold the change of the batteries' energy value (potential-based shaping, which keeps the
        best policy the best; Ng, Harada and Russell, 1999); it takes gamma = 1
    imitated_days : training days of look-ahead IMP that the policy imitates before it learns
    critic_first : first steps of training that only the critic learns from, so that it does not mislead a warm start

    Raises
    ------
    ValueError
        If a value is of another type or outside its range; the message names it.
    """

    n_envs: int = _number(32, 1, 4096)
    n_steps: int = _number(48, 1, 100_000)
    batch_size: int = _number(512, 2, 10_000_000)
    n_epochs: int = _number(10, 1, 1000)
    learning_rate: float = _number(1e-3, 0.0, 1.0)
    learning_rate_end: float = _number(0.0, 0.0, 1.0)
    gamma: float = _number(0.99, 0.0, 1.0)
    gae_lambda: float = _number(0.95, 0.0, 1.0)
    clip_range: float = _number(0.2, 1e-6, 10.0)
    ent_coef: float = _number(0.0, 0.0, 10.0)
    vf_coef: float = _number(0.5, 0.0, 100.0)
    max_grad_norm: float = _number(0.5, 1e-6, 1e6)
    net_arch: tuple[int, ...] = dataclasses.field(default=(64, 64), metadata={"low": 1, "high": 8192})
    activation: str = "tanh"
    log_std_init: float = _number(-1.0, -10.0, 2.0)
    norm_obs: bool = False
    norm_reward: bool = True
    policy: str = "flat"
    encoder: int = _number(64, 1, 8192)
    residual_scale: float = _number(0.0, 0.0, 10.0)
    snap_radius: float = _number(0.0, 0.0, 10.0)
    searches: int = _number(0, 0, 1024)
    shaping: bool = False
    imitated_days: int = _number(0, 0, 100_000)
    critic_first: int = _number(0, 0, 1_000_000_000)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type == "bool" and not isinstance(value, bool):
                raise ValueError(f"{field.name} = {shown(value)} must be true or false")
            if field.type in ("int", "float"):
                object.__setattr__(self, field.name, _checked(field, field.name, value))
            if field.name == "net_arch":
                if not isinstance(value, list | tuple):
                    raise ValueError(f"net_arch = {shown(value)} must be a list of widths")
                widths = tuple(int(_checked(field, f"net_arch[{i}]", width)) for i, width in enumerate(value))
                object.__setattr__(self, field.name, widths)
        if self.activation not in tuple(ACTIVATIONS):
            raise ValueError(f"activation = {shown(self.activation)} must be one of {', '.join(ACTIVATIONS)}")
        if self.policy not in POLICIES:
            raise ValueError(f"policy = {shown(self.policy)} must be one of {', '.join(POLICIES)}")
        needs_plan = self.policy == "set" or self.snap_radius > 0.0 or self.shaping or self.imitated_days > 0
        if self.residual_scale == 0.0 and needs_plan:
            raise ValueError(
                "residual_scale = 0.0 must be positive where policy is 'set', "
                "or snap_radius, shaping or imitated_days are"
            )
        if self.imitated_days > 0 and self.policy != "set":
            raise ValueError(f"policy = {self.policy!r} must be 'set' with imitated_days")
        if self.shaping and self.gamma != 1.0:
            raise ValueError(f"gamma = {self.gamma} must be 1 with shaping")
        # A last batch that is shorter than the others would weigh its samples more.
        if self.n_envs * self.n_steps % self.batch_size:
            raise ValueError(
                f"batch_size = {self.batch_size} must divide n_envs * n_steps = {self.n_envs} * {self.n_steps}"
            )

    @classmethod
    def load(cls, config: str | Path) -> SB3Config:
        """Return the settings of a name (`CONFIGS` without the suffix) or of a YAML file."""
        if Path(config).suffix in (".yaml", ".yml"):
            return cls.from_yaml(Path(config))
        config = str(config)
        names = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
        if config not in names:
            known = f"{', '.join(names)}, or a YAML file"
            raise ValueError(f"config = {config!r} is unknown{close_match(config, names)}; configs: {known}")
        return cls.from_yaml(CONFIGS / f"{config}.yaml")

    @classmethod
    def from_yaml(cls, path: Path) -> SB3Config:
        """Read a YAML mapping, or a run's config.yaml (`lmaas_train.settings.from_yaml`)."""
        return from_yaml(cls, path, "sb3")

    @classmethod
    def for_scenario(cls, scenario: Scenario) -> SB3Config:
        """Return the settings that ship, by what sellers see of the customers and how many there are."""
        if scenario.observation == "public":
            name = "public"
        elif scenario.resample_population == "episode":
            name = "population"
        else:
            name = "customers" if scenario.customers <= MANY else "flat"
        return cls.from_yaml(CONFIGS / f"ppo-{name}.yaml")


def _checked(field: dataclasses.Field[Any], name: str, value: Any) -> float | int:
    """Return a number in the type and range of its field, or say what is wrong with it."""
    low, high, whole = field.metadata["low"], field.metadata["high"], "int" in str(field.type)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} = {shown(value)} must be {kind} in [{low:g}, {high:g}]")
    return value if whole else float(value)
