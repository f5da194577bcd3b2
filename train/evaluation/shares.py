"""Sellers' shares of the certified bound: a row per day and per seller, and the summary of `lmaas bound`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.statistics import Estimate, mean_estimate, normalised_score
from lmaas_train.markdown import markdown_table

from lmaas_env.types import FloatArray


class DayRow(NamedTuple):
    """One day's bounds, $, and their time in seconds of a core."""

    day_seed: int
    personalised: float
    bound: float
    estimate: float
    descent_seconds: float
    certificate_seconds: float


class SellerRow(NamedTuple):
    """How near a seller comes to the bound, over all days, with 95 % intervals."""

    seller: str
    profit: float
    share: float
    share_low: float
    share_high: float
    score: float
    score_low: float
    score_high: float


def seller_row(name: str, profit: FloatArray, imp: FloatArray, rows: Sequence[DayRow]) -> SellerRow:
    """Return a seller's row, from its profits and IMP's by day, (K,) $; no score where the bound leaves IMP no room."""
    above = np.array([row.bound for row in rows])
    share = normalised_score(profit, np.zeros(len(rows)), above)
    score = normalised_score(profit, imp, above) if name != REFERENCE else Estimate(np.nan, np.nan, np.nan)
    return SellerRow(name, float(profit.mean()), *share, *score)


def summary(
    scenario: str, rows: Sequence[DayRow], sellers: Sequence[SellerRow], best: FloatArray, clairvoyant: FloatArray
) -> str:
    """Return the Markdown tables: sellers against the bound, and what the gap of the best of them consists of."""
    personalised, certified = (np.array([getattr(row, name) for row in rows]) for name in ("personalised", "bound"))
    seconds = np.mean([(row.descent_seconds, row.certificate_seconds) for row in rows], axis=0)
    estimate = np.mean([row.estimate for row in rows])
    lines = [
        f"# How near sellers come to the certified bound: `{scenario}`, {len(rows)} held-out days",
        "",
        f"No seller earns more than {certified.mean():,.1f} $ a day in the mean (certified; the descent's estimate is "
        f"{estimate:,.1f} $). The descent took {seconds[0]:.0f} s of a core a day, the certificate {seconds[1]:.0f} s.",
        "",
    ]
    cells: list[list[str]] = []
    for row in sellers:
        score = "" if np.isnan(row.score) else f"{row.score:.2f} [{row.score_low:.2f}, {row.score_high:.2f}]"
        share = f"{row.share:.3f} [{row.share_low:.3f}, {row.share_high:.3f}]"
        cells.append([f"`{row.seller}`", f"{row.profit:,.1f}", share, score])
    lines += markdown_table(["seller", "$ a day", "share of the bound", "score"], cells, has_numbers=True)
    lines += ["", "Score: IMP earns 0, the bound 1.", ""]
    gaps = {
        "a price of its own for every customer: personalised bound minus bound": personalised - certified,
        "remainder: bound minus the clairvoyant seller": certified - clairvoyant,
        f"foresight: the clairvoyant seller minus `{sellers[0].seller}`": clairvoyant - best,
    }
    lines += [f"Between `{sellers[0].seller}` and the bound with personalised prices lie, $ a day [95 % interval]:", ""]
    parts = [[name, _interval(gap)] for name, gap in gaps.items() if np.isfinite(gap).all()]
    lines += markdown_table(["part", "$ a day"], parts, has_numbers=True)
    return "\n".join([*lines, ""])


def _interval(values: FloatArray) -> str:
    found = mean_estimate(values)
    return f"{found.mean:,.1f}" if np.isnan(found.low) else f"{found.mean:,.1f} [{found.low:,.1f}, {found.high:,.1f}]"
