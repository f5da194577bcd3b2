"""Evaluating and training sellers; ``from lmaas_train import evaluate`` scores any policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lmaas_train.evaluation.adapters import batched
    from lmaas_train.evaluation.evaluate import Evaluation, evaluate

__all__ = ["Evaluation", "batched", "evaluate"]


def __getattr__(name: str) -> Any:
    """Return what the package exports; its modules are imported only then."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lmaas_train.evaluation import adapters, evaluate

    return getattr(adapters if name == "batched" else evaluate, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
