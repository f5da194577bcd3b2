"""Generated tables of the pages: a function without arguments, or with one name, returns Markdown."""

from collections.abc import Callable, Mapping

from page_tables import costs, learners, reference, sellers

FUNCTIONS: tuple[Callable[..., str], ...] = (
    reference.scenario_numbers,
    reference.presets,
    reference.environment,
    reference.commands,
    reference.source,
    reference.ppo_settings,
    reference.extras,
    sellers.compared,
    sellers.headline,
    sellers.returns,
    sellers.bounded,
    sellers.learning,
    sellers.suite,
    sellers.leaderboard,
    sellers.welfare,
    learners.evaluated,
    learners.ablation,
    learners.from_scratch,
    learners.time_to_score,
    learners.encoders,
    learners.zoo,
    learners.zoo_of,
    learners.limits,
    learners.scratch_ablation,
    learners.energy_value,
    costs.speed,
    costs.scale,
    costs.sweep_costs,
)
GENERATED: Mapping[str, Callable[..., str]] = {function.__name__: function for function in FUNCTIONS}
