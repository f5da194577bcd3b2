"""Tables of learned sellers: recipes, encoders, the zoo, and what better energy values add."""

from __future__ import annotations

from page_tables.common import interval, profit_and_share, rows_of, sellers_of, table

ABLATION = {  # row of benchmarks/learned/ablation: what it is
    "ppo": "shipped recipe: plan, imitation, PPO",
    "imitation": "plan, imitation, no PPO",
    "set-scratch": "plan, no imitation, PPO",
    "untrained": "plan only, no learning",
    "no-shaping": "shipped recipe without the energy value in the reward",
    "no-critic-first": "shipped recipe, actor and critic start together",
    "no-snapping": "shipped recipe without snapping to thresholds",
    "flat": "neither plan nor imitation (SB3's PPO, `ppo-flat`)",
}
SCRATCH = (  # policy trained from scratch: label, table, its row
    ("PPO, 2,000,000 steps (`lmaas train`)", "learned/scratch-day/table.csv", "ppo"),
    ("PPO of SB3, 32 environments, 10 epochs, 200,000 steps (`ppo-flat.yaml`)", "wide/table.csv", "flat"),
    ("PPO of SB3, 256 environments, 2 epochs, 700,000 steps (`ppo-wide.yaml`)", "wide/table.csv", "wide"),
)
ENCODERS = {  # scenario: the table with PPO's encoders there, the seller in it that looks ahead
    "day": ("zoo/summary.csv", "lookahead"),
    "scarce": ("zoo/summary.csv", "lookahead"),
    "abundant": ("learned/scratch-abundant/table.csv", "lookahead"),
    "population": ("zoo-population/summary.csv", "lookahead"),
    "public": ("zoo-public/summary.csv", "public-lookahead"),
}
ZOO = {  # way to sell of benchmarks/sweeps/zoo.yaml: what it is
    "perceptron": "PPO, perceptron",
    "mean": "PPO, mean",
    "set": "PPO, set",
    "attention": "PPO, attention",
    "reinforce": "REINFORCE",
    "recurrent-ppo": "recurrent PPO",
    "sac": "SAC",
    "tqc": "TQC",
    "crossq": "CrossQ",
    "cma-es": "CMA-ES",
    "cloning": "cloning",
    "iql": "IQL",
    "guided": "guided: plan, imitation, PPO, search",
}
SCRATCH_ABLATION = {  # row of benchmarks/learned/scratch-ablation: what it is
    "short": "`lmaas train --steps 600000`",
    "no-copies": "every lane sells a day of its own",
    "middle-price": "starts in the middle of the price range",
    "large-batches": "large batches, four epochs",
}
WAYS = {  # row of benchmarks/energy-value/ways.csv: how the energy value is estimated
    "exact": "exact cost of the energy that a sale drains, in expectation",
    "bound": "energy values that prove the certified bound, mean of three days",
    "searched": "the plan's, times factors for every four hours that CMA-ES finds on training days",
    "own days, round 1": "estimated on look-ahead IMP's own days",
    "own days, round 2": "estimated again on the days sold with that estimate",
    "own days, by state, round 1": "by shadowing and demand as well",
    "own days, by state, round 2": "by shadowing and demand, estimated again",
    "rollouts": "none: one step of policy improvement by rollouts over 64 days",
}


def evaluated(names: str) -> str:
    """Return the tables of `lmaas evaluate` as one Markdown table, a row per folder and seller."""
    rows = [
        [
            f"`{name}`",
            row["seller"].replace("ppo", "PPO from scratch" if name.startswith("scratch-") else "guided"),
            row["seeds"],
            f"{float(row['profit']):.{0 if float(row['profit']) > 100.0 else 1}f}",
            "" if row["seller"] == "imp" else interval(row, "share_of_imp", "{:.3f}"),
            f"{float(row['customer_profit']):.0f}",
        ]
        for name in names.split(",")
        for row in rows_of(f"learned/{name}/table.csv")
    ]
    return table(("scenario", "seller", "training seeds", "profit, $ a day", "/ IMP", "customers' profit"), rows)


def ablation() -> str:
    """Return the learned sellers of `day` with parts of the recipe left out, with and without the local search."""
    refined, plain = (sellers_of(f"learned/{folder}/table.csv") for folder in ("ablation", "ablation-no-search"))
    best = float(refined["lookahead"]["profit"])
    rows: list[list[str]] = []
    for name, label in ABLATION.items():
        pairs = [
            ("–", "–") if name == "flat" else profit_and_share(refined[name], best),
            profit_and_share(plain[name], best),
        ]
        rows.append([label, refined[name]["seeds"], *pairs[0], *pairs[1]])
    heads = ("with search, $ a day", "/ look-ahead IMP", "without, $ a day", "/ look-ahead IMP")
    return table(("`day`", "training seeds", *heads), rows)


def from_scratch() -> str:
    """Return the policies of `day` that are trained without plan, imitation and search."""
    rows = [
        [label, row["seeds"], f"{float(row['profit']):.0f}", interval(row, "share_of_imp", "{:.3f}")]
        for label, path, name in SCRATCH
        for row in [sellers_of(path)[name]]
    ]
    return table(("trained from scratch", "training seeds", "profit, $ a day", "/ IMP"), rows)


def time_to_score() -> str:
    """Return how many seconds PPO from scratch takes to shares of IMP's profit on tuning days."""
    rows: list[list[str]] = []
    for name in ("day", "scarce"):
        levels = rows_of(f"learned/scratch-{name}/time_to_score.csv")
        cells = [
            f"{float(row['seconds']):.0f} [{float(row['fastest']):.0f}, {float(row['slowest'] or 'inf'):.0f}]".replace(
                "inf", "–"
            )
            if row["seconds"]
            else f"{row['reached']} of {row['runs']} runs"
            for row in levels
        ]
        rows.append([f"`{name}`", *cells])
    shares = [f"{float(row['share_of_imp']):.2f}" for row in rows_of("learned/scratch-day/time_to_score.csv")]
    return table(("seconds to a share of IMP's profit", *shares), rows)


def encoders() -> str:
    """Return what PPO from scratch earns with each encoder of customers, by scenario."""
    rows: list[list[str]] = []
    for name, (table_name, ahead) in ENCODERS.items():
        of_scenario = [row for row in rows_of(table_name) if row.get("scenario", name) == name]
        found = {row.get("way") or row["seller"]: row for row in of_scenario}
        for seller in ("perceptron", "mean", "set", "attention"):
            if row := found.get(seller):
                profit, share = profit_and_share(row, float(found[ahead]["profit"]))
                over_imp = interval(row, "share_of_imp", "{:.3f}")
                rows.append([f"`{name}`", seller, row.get("cells") or row["seeds"], profit, over_imp, share])
    headings = ("scenario", "customers seen by", "training seeds", "profit, $ a day", "/ IMP", "/ look-ahead IMP")
    return table(headings, rows)


def zoo() -> str:
    """Return what each algorithm of the zoo earns by scenario and over all of them, the best first."""
    found = {(row["scenario"], row["way"]): row for row in rows_of("zoo/summary.csv")}
    scenarios = list(dict.fromkeys(name for name, _ in found))
    rows: list[list[str]] = []
    for row in rows_of("zoo/normalised.csv"):
        cells: list[str] = []
        for name in scenarios:
            own = found[name, row["way"]]
            ratio = interval(own, "share_of_imp", "{:.3f}") if row["way"] != "imp" else "1"
            cells += [ratio, f"{float(own['score']):.2f}" if own["score"] else ""]
        trained = int(row["seeds"]) > 1
        seconds = [float(found[name, row["way"]]["training_seconds"]) for name in scenarios]
        took = f"{sum(seconds) / len(seconds):.0f}" if trained else ""
        over = interval(row, "iqm", "{:.2f}") if trained else f"{float(row['iqm']):.2f}"
        rows.append([ZOO.get(row["way"], f"`{row['way']}`"), *cells, over, took])
    heads = [head for name in scenarios for head in (f"`{name}` / IMP", "score")]
    return table(("seller", *heads, "IQM", "s"), rows)


def zoo_of(scenario: str) -> str:
    """Return what each algorithm of the zoo of one scenario earns, the best first."""
    found = sorted(rows_of(f"zoo-{scenario}/summary.csv"), key=lambda row: -float(row["profit"]))
    ahead = next(float(row["profit"]) for row in found if row["way"].endswith("lookahead"))
    rows = [
        [
            ZOO.get(row["way"], f"`{row['way']}`"),
            row["cells"] if row["way"] in ZOO else "",
            *profit_and_share(row, ahead),
            interval(row, "share_of_imp", "{:.3f}") if row["way"] != "imp" else "1",
        ]
        for row in found
    ]
    return table(("seller", "training seeds", "profit, $ a day", "/ look-ahead IMP", "/ IMP"), rows)


def limits() -> str:
    """Return what keeps PPO from scratch below look-ahead IMP: look-ahead IMP with fewer models, or less precise."""
    rows = [
        [
            f"`{row['seller']}`" if row["seller"] == "day-ppo" else row["seller"],
            f"{float(row['profit']):.0f}",
            interval(row, "change", "{:+.0f}") if float(row["change"]) else "",
            f"{float(row['share_of_lookahead']):.3f}",
        ]
        for row in rows_of("menus/limits.csv")
    ]
    return table(("`day`", "profit, $ a day", "minus look-ahead IMP", "/ look-ahead IMP"), rows)


def scratch_ablation() -> str:
    """Return what the choices of PPO from scratch contribute."""
    found = sellers_of("learned/scratch-ablation/table.csv")
    rows = [
        [
            label,
            found[way]["seeds"],
            f"{float(found[way]['profit']):.0f}",
            interval(found[way], "share_of_imp", "{:.3f}"),
        ]
        for way, label in SCRATCH_ABLATION.items()
    ]
    return table(("`day`", "training seeds", "profit, $ a day", "/ IMP"), rows)


def energy_value() -> str:
    """Return what other estimates of the energy value add to look-ahead IMP, in $ a day."""
    found = {(row["scenario"], row["way"]): row for row in rows_of("energy-value/ways.csv")}
    rows = [
        [label, *(interval(found[name, way], "added", "{:+.1f}") for name in ("day", "scarce"))]
        for way, label in WAYS.items()
    ]
    return table(("energy value", "`day`", "`scarce`"), rows)
