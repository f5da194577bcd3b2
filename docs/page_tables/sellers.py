"""Tables of what sellers earn and how near the bound they come, from the committed results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lmaas_train.cli.leaderboard import Entry

from lmaas_env.scenario import Scenario
from page_tables.common import NO_BREAK, ROOT, SCENARIOS, interval, mean_bound, rows_of, sellers_of, table

HEADLINE = (  # row of the main table: label, kind, seller by scenario
    (
        "`lookahead`, on `public` `public-lookahead`",
        "planned",
        ("lookahead", "lookahead", "lookahead", "public-lookahead"),
    ),
    (
        "`day-guided`, `scarce-guided`, …",
        "guided RL",
        ("day-guided", "scarce-guided", "abundant-guided", "public-guided"),
    ),
    ("`day-ppo`, `scarce-ppo`, …", "RL from scratch", ("day-ppo", "scarce-ppo", "abundant-ppo", "public-ppo")),
    ("`imp`", "optimised hour by hour", ("imp",) * 4),
    ("`fixed`", "tuned constant prices", ("fixed",) * 4),
    ("`cost-plus`", "tuned markup", ("cost-plus",) * 4),
    ("`random`", "", ("random",) * 4),
)


def compared(name: str) -> str:
    """Return a table.csv of `lmaas compare` as Markdown."""
    rows = [
        [
            row["seller"],
            interval(row, "profit", "{:.0f}"),
            "" if row["seller"] == "imp" else interval(row, "minus_imp", "{:+.0f}"),
            f"{float(row['share_of_imp']):.3f}",
            f"{float(row['customer_profit']):.0f}",
        ]
        for row in rows_of(f"{name}/table.csv")
    ]
    return table(("seller", "profit, $ a day", "minus IMP", "/ IMP", "customers' profit"), rows)


def headline() -> str:
    """Return the main table: profit and ratio to IMP by seller and scenario."""
    found = {name: sellers_of(f"{name}/table.csv") for name in SCENARIOS}
    rows: list[list[str]] = []
    for label, kind, sellers in HEADLINE:
        shown = [found[name].get(seller) for name, seller in zip(SCENARIOS, sellers, strict=True)]
        cells = (
            f"{float(row['profit']):.0f}{NO_BREAK}({float(row['share_of_imp']):.3f})" if row else "–" for row in shown
        )
        rows.append([label, kind, *cells])
    return table(("seller", "kind", *(f"`{name}`" for name in SCENARIOS)), rows)


def returns() -> str:
    """Return reference returns of an episode, in $ per customer: random prices, IMP, best known seller, bound."""
    rows: list[list[str]] = []
    for name in SCENARIOS:
        profit = {seller: float(row["profit"]) for seller, row in sellers_of(f"{name}/table.csv").items()}
        values = (profit["random"], profit["imp"], max(profit.values()), mean_bound(name))
        rows.append([f"`{name}`", *(f"{value / Scenario.preset(name).customers:.1f}" for value in values)])
    return table(("scenario", "random", "IMP", "best known", "bound"), rows)


def bounded() -> str:
    """Return each scenario's bounds, in $ a day, and the shares of the certified one that sellers earn."""
    rows: list[list[str]] = []
    for folder in sorted((ROOT / "benchmarks/bound").iterdir()):
        found = sellers_of(f"bound/{folder.name}/sellers.csv")
        days = rows_of(f"bound/{folder.name}/days.csv")
        shares = [interval(found[seller], "share", "{:.3f}") for seller in ("lookahead", "imp", "fixed")]
        personalised = [float(row["personalised"]) for row in days if row["personalised"]]  # none for a single hour
        bound = mean_bound(folder.name)
        shown = f"{bound:,.0f}" if bound >= 1000.0 else f"{bound:.1f}"
        mean = f"{sum(personalised) / len(personalised):,.0f}" if personalised else ""
        name, _, seed = folder.name.partition("-population-")
        label = f"`{name}`, population {seed}" if seed else f"`{name}`"
        rows.append([label, str(len(days)), shown, *shares, mean])
    headings = ("scenario", "days", "bound, $ a day", "look-ahead IMP", "IMP", "fixed", "personalised bound")
    return table(headings, rows)


def learning(scenario: str) -> str:
    """Return the scores of sellers where customers are hidden."""
    rows = [
        [
            f"`{row['seller']}`",
            row["seeds"],
            f"{float(row['profit']):,.0f}",
            interval(row, "score", "{:.2f}"),
            f"{float(row['milliseconds_per_decision']):.2g}",
        ]
        for row in rows_of(f"{scenario}/table.csv")
    ]
    return table(("seller", "training seeds", "profit, $ an episode", "score", "ms per decision"), rows)


def suite() -> str:
    """Return what each environment leaves to learning and planning, from `lmaas suite check`."""
    rows = [
        [
            f"`{row['environment']}`",
            row["tests"],
            f"`{row['clock_only_seller']}` {float(row['share_clock_only']):.3f}",
            "–" if row["adaptive_seller"] == row["informed_seller"] else _closed(row),
            f"{float(row['planning']):.2f}",
            f"`{row['informed_seller']}` {float(row['informed']):,.{0 if float(row['informed']) > 100.0 else 1}f}",
            f"{float(row['share_of_bound']):.3f}" if row["bound"] else "–",
            row["class"],
        ]
        for row in rows_of("suite/table.csv")
    ]
    heads = (
        "environment",
        "what is hard",
        "clock only",
        "closed",
        "planning",
        "informed, $ an episode",
        "/ bound",
        "class",
    )
    return table(heads, rows)


def _closed(row: Mapping[str, str]) -> str:
    """Return which adaptive seller closes how much of the gap, `none` where it earns less than without adapting."""
    closed = float(row["gap_closed"] or 0.0)
    return f"`{row['adaptive_seller']}` {closed:.2f}" if closed > 0.0 else "none"


def leaderboard(scenario: str) -> str:
    """Return the entries of a scenario, the best first."""
    entries: list[tuple[Entry, dict[str, Any]]] = []
    for path in sorted((ROOT / "leaderboard").glob("*/score.json")):
        entry = Entry.load(path.parent)
        if entry.scenario == scenario:
            entries.append((entry, json.loads(path.read_text(encoding="utf-8"))))
    entries.sort(key=lambda it: -it[1]["profit"])
    rows = [
        [
            entry.name,
            entry.kind,
            interval(score, "profit", "{:.0f}"),
            f"{score['share_of_imp']:.3f}",
            f"{score['profit'] / mean_bound(scenario):.3f}",
            f"{score['customer_profit']:.0f}",
        ]
        for entry, score in entries
    ]
    heads = ("seller", "kind", "profit, $ a day", "/ IMP", "/ bound", "customers' profit")
    methods = [
        f"- **{entry.name}** ({entry.who}). {entry.method} Training: {entry.training}."
        + "".join(f" [Link]({link})." for link in entry.links)
        for entry, _ in entries
    ]
    return "\n".join([table(heads, rows), "", *methods])


def welfare() -> str:
    """Return the customers' profit under each seller, realised and as planned for the worst case."""
    sellers = ("imp", "lookahead", "ppo", "fixed")
    rows: list[list[str]] = []
    for name in SCENARIOS:
        found = sellers_of(f"learned/{name}/table.csv")
        found["lookahead"] = found.get("lookahead") or found["public-lookahead"]
        shown = [found.get(seller) for seller in sellers]
        keys = ("customer_profit", "worst_case_profit")
        rows.append(
            [f"`{name}`", *(", ".join(f"{float(row[key]):.0f}" for key in keys) if row else "" for row in shown)]
        )
    return table(("scenario", "IMP", "look-ahead IMP", "learned", "fixed"), rows)
