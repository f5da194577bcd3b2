"""What the tables of a comparison say, in words: the verdict, and a title for each figure.

Tables are rows of table.csv, days.csv, hours.csv and models.csv, the sellers ranked by profit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from lmaas_train.evaluation.days import REFERENCE
from lmaas_train.evaluation.statistics import Estimate, mean_estimate

from lmaas_env.render.drawing import digits_for, dollars, seller_label

Table = Sequence[Mapping[str, Any]]
PERCENT = "\N{NO-BREAK SPACE}%"
FAR = 5.0  # a seller that loses more than so many times the next largest difference is off the axis


def headline(profits: Mapping[str, float]) -> str:
    """Return who earns most and by how much; ``profits`` holds each seller's mean profit per day in $."""
    best, *others = sorted(profits, key=lambda name: -profits[name])
    if not others:
        return f"{seller_label(best)} earns {dollars(profits[best], digits_for(profits.values()))} a day"
    rival = others[0] if best == REFERENCE or REFERENCE not in others else REFERENCE
    return f"{seller_label(best)} earns {_more(profits[best], profits[rival])} than {seller_label(rival)}"


def _more(ours: float, theirs: float) -> str:
    """Return by how much ours exceeds theirs: in per cent, or in dollars where theirs is not a profit."""
    if theirs <= 0.0:
        return f"{dollars(abs(ours - theirs), digits_for([ours, theirs]))} {'more' if ours >= theirs else 'less'}"
    share = 100.0 * (ours / theirs - 1.0)
    return f"{abs(share):.1f}{PERCENT} {'less' if share < 0.0 else 'more'}"


def verdict(table: Table, days: Table, scenario: str) -> list[str]:
    """Return the verdict on a comparison, sentence by sentence: who won, by how much, how sure."""
    best, digits = table[0], digits_for(row["profit"] for row in table)
    count = len({row["day_seed"] for row in days})
    sold = f", {count} held-out day{'' if count == 1 else 's'}" if count else ""
    amount = f"{dollars(best['profit'], digits)} a day"
    if len(table) == 1:
        return [f"Scenario {scenario}{sold}: {seller_label(best['seller'])} earns {amount}."]
    said = [f"Scenario {scenario}{sold}: {seller_label(best['seller'])} wins with {amount}."]
    second = table[1]["seller"]
    if best["seller"] != REFERENCE and REFERENCE in {row["seller"] for row in table}:
        lead = Estimate(*(best[name] for name in ("minus_imp", "minus_imp_low", "minus_imp_high")))
        imp = best["profit"] - best["minus_imp"]
        said.append(f"That is {_lead(lead, digits)} than IMP ({_more(best['profit'], imp)}){_surely(lead, digits)}.")
    if second != REFERENCE or best["seller"] == REFERENCE:
        difference = paired(days, best["seller"], second)
        if difference.size:
            lead = mean_estimate(difference)
            said.append(
                f"The next best, {seller_label(second)}, is {dollars(lead.mean, digits)} behind{_surely(lead, digits)}."
            )
    if count == 1:
        said.append("A single day gives no interval: compare on more days.")
    return said


def _lead(lead: Estimate, digits: int) -> str:
    return f"{dollars(abs(lead.mean), digits)} {'less' if lead.mean < 0.0 else 'more'}"


def _surely(difference: Estimate, digits: int) -> str:
    """Return the interval of a paired difference and whether it excludes zero; nothing without an interval."""
    if np.isnan(difference.low):
        return ""
    sure = difference.low > 0.0 or difference.high < 0.0
    ends = f"{dollars(difference.low, digits)} to {dollars(difference.high, digits)}"
    return f", 95{PERCENT} interval {ends}, paired by day: {'clear of zero' if sure else 'not clear of zero'}"


def paired(days: Table, ours: str, theirs: str) -> np.ndarray:
    """Return the difference in profit between two sellers on each day that both sold, $."""
    profits = [{row["day_seed"]: row["profit"] for row in days if row["seller"] == name} for name in (ours, theirs)]
    return np.array([profit - profits[1][day] for day, profit in profits[0].items() if day in profits[1]])


def off_axis(differences: Mapping[str, float]) -> list[str]:
    """Return the sellers that would stretch an axis of differences to IMP so that the others vanish, worst first.

    These are random prices where there is another seller, and sellers whose loss is more than `FAR` times the next
    largest difference. ``differences`` holds each seller's mean difference to IMP.
    """
    others = [name for name in differences if name != REFERENCE]
    others.sort(key=lambda name: (name == "random", abs(differences[name])))
    hidden: list[str] = []
    while len(others) > 1:
        last, before = others[-1], others[-2]
        if last != "random" and differences[last] >= -FAR * abs(differences[before]):
            break
        hidden.append(others.pop())
    return hidden


def off_axis_note(table: Table) -> str:
    """Return a footnote with the differences of the sellers that are off the axis."""
    digits = digits_for(row["profit"] for row in table)
    hidden = off_axis({row["seller"]: row["minus_imp"] for row in table})
    losses = [f"{row['seller']} {dollars(row['minus_imp'], digits, '+')}" for row in table if row["seller"] in hidden]
    return f"Off the axis: {', '.join(losses)} a day. The buttons above show what they hide." if losses else ""


def clear_of_imp(table: Table) -> str:
    """Return how many sellers earn more than IMP by an interval that excludes zero."""
    if np.isnan(table[0]["profit_low"]):
        return "A single day cannot tell sellers apart"
    clear = [row["seller"] for row in table if row["seller"] != REFERENCE and row["minus_imp_low"] > 0.0]
    if not clear:
        return "No seller earns clearly more than IMP"
    names = " and ".join(clear) if len(clear) <= 2 else f"{len(clear)} sellers"
    return f"{names} earn{'s' if len(clear) == 1 else ''} clearly more than IMP"


def days_won(days: Table, seller: str) -> str:
    """Return on how many days a seller earns more than IMP."""
    difference = paired(days, seller, REFERENCE)
    return f"{seller} earns more than IMP on {np.sum(difference > 0.0)} of {difference.size} days"


def profit_by_hour(hours: Table, seller: str) -> str:
    """Return the hour in which a seller gains most on IMP, or loses least."""
    ours, theirs = (column(hours, name, "profit") for name in (seller, REFERENCE))
    hour = int(np.argmax(ours - theirs))
    gain = dollars(float(ours[hour] - theirs[hour]), digits_for([*ours, *theirs]), "+")
    return f"{seller} against IMP: {gain}" + (f" at best, at {hour % 24:02d}:00" if len(ours) > 1 else "")


def customers_by_hour(hours: Table, seller: str) -> str:
    """Return how much more or less customers earn with a seller than with IMP."""
    ours, theirs = (float(column(hours, name, "customer_profit").sum()) for name in (seller, REFERENCE))
    return f"Customers earn {_more(ours, theirs)} with {seller} than with IMP"


def lowest_battery(hours: Table, seller: str) -> str:
    """Return how far batteries fall with a seller and with IMP."""
    ours, theirs = (float(column(hours, name, "charge_share").min()) for name in (seller, REFERENCE))
    return f"Batteries fall to {ours:.0%} with {seller}, to {theirs:.0%} with IMP".replace("%", PERCENT)


def means(rows: Table, name: str, sellers: Iterable[str], form: str) -> str:
    """Return the mean of a column, seller by seller; ``form`` formats a number."""
    return ", ".join(f"{seller_label(seller)} {form.format(column(rows, seller, name).mean())}" for seller in sellers)


def learned(evaluations: Table) -> str:
    """Return how the profit on tuning days changed from the first evaluation to the last, and when it passed IMP's."""
    shares = [row.get("share_of_imp", np.nan) for row in evaluations]
    if shares[-1] > 1.0:
        seconds = next(row["seconds"] for row, share in zip(evaluations, shares, strict=True) if share > 1.0)
        return f"The policy passes IMP after {seconds:.0f} s and ends at {shares[-1]:.3f} of IMP's profit"
    first, last = evaluations[0]["mean_day_profit"], evaluations[-1]["mean_day_profit"]
    ends = (dollars(amount, digits_for([first, last])) for amount in (first, last))
    return "Profit on tuning days goes from {} to {} a day".format(*ends)


def learned_by_runs(curves: Table) -> str:
    """Return how the profit on tuning days changed over the training of the best way, the mean of its runs."""
    ends: dict[str, tuple[list[float], list[float]]] = {}
    for way, run in dict.fromkeys((row["way"], row["run"]) for row in curves):
        profits = [row["tuning_profit"] for row in curves if (row["way"], row["run"]) == (way, run)]
        first, last = ends.setdefault(way, ([], []))
        first.append(profits[0])
        last.append(profits[-1])
    best = max(ends, key=lambda way: np.mean(ends[way][1]))
    first, last = (float(np.mean(profits)) for profits in ends[best])
    amounts = " to ".join(dollars(amount, digits_for([first, last])) for amount in (first, last))
    runs = len(ends[best][0])
    return f"{best}: profit on tuning days goes from {amounts} a day" + (f", mean of {runs} runs" if runs > 1 else "")


def improvement(table: Table) -> str:
    """Return on which share of seeds and days the best seller besides IMP earns more than IMP."""
    best = next(row for row in table if row["seller"] != REFERENCE)
    share = f"{best['probability_of_improvement']:.0%}".replace("%", PERCENT)
    return f"{seller_label(best['seller'])} earns more than IMP on {share} of days"


def column(rows: Table, seller: str, name: str) -> np.ndarray:
    """Return one column of a seller's rows."""
    return np.array([row[name] for row in rows if row["seller"] == seller])
