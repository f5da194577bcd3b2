"""The certificates can fail: each is run on a copy of the code that is broken on purpose, and must notice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RSR = "tests/certificates/test_rsr_certificates.py"
PROPERTIES = "tests/certificates/test_rsr_properties.py"
STATIC = "tests/certificates/test_static_robust.py"
LOCKSTEP = "tests/certificates/test_waterfilling.py"
SEARCH = "tests/agents/test_search.py"
IMP = "tests/certificates/test_imp_certificates.py"

# What is broken: the file, the text, what replaces it; and the test that must fail.
MUTATIONS = {
    "the least valuable slots fade": (
        "lmaas_env/engine/recourse_simd.py",
        "worst[k] = k < terms.fade_budget[n]",
        "worst[k] = k >= size - terms.fade_budget[n]",
        f"{RSR}::test_worst_case_profit_and_choice_equal_enumeration_of_all_fade_patterns",
    ),
    "a slot too few fades": (
        "lmaas_env/engine/recourse_simd.py",
        "worst[k] = k < terms.fade_budget[n]",
        "worst[k] = k < terms.fade_budget[n] - 1",
        f"{PROPERTIES}::test_at_most_gamma_fades_realise_at_least_the_promised_profit",
    ),
    "the shadow price is searched for one pass only": (
        "lmaas_env/engine/recourse_simd.py",
        "for _ in range(2 * slots.shape[0] + 2):",
        "for _ in range(1):",
        f"{RSR}::test_duality_gap_of_planned_and_realised_hours_is_below_1e_9",
    ),
    "energy costs nothing": (
        "lmaas_env/engine/recourse_simd.py",
        "if fill_slack(chunks, slots, size, count) > 0:",
        "if fill_slack(chunks, slots, size, count) < 0:",
        f"{RSR}::test_realised_profit_of_every_fade_pattern_equals_a_general_solver",
    ),
    "faded slots keep their nominal cap": (
        "lmaas_env/engine/recourse_simd.py",
        "cap = pick(faded, chunk.max_hours[1, i], chunk.max_hours[0, i])",
        "cap = pick(faded, chunk.max_hours[0, i], chunk.max_hours[0, i])",
        f"{RSR}::test_realised_profit_of_every_fade_pattern_equals_a_general_solver",
    ),
    "ties go to the last model": (
        "lmaas_env/engine/recourse.py",
        "if worst_case_profit[m] > worst_case_profit[best]:",
        "if worst_case_profit[m] >= worst_case_profit[best]:",
        f"{PROPERTIES}::test_equal_models_are_a_tie_for_the_lowest_index",
    ),
    "the scalar kernel misses a breakpoint": (
        "lmaas_env/engine/recourse.py",
        "right = min(right, closes)",
        "right = max(right, closes)",
        f"{LOCKSTEP}::test_lockstep_equals_one_problem_at_a_time",
    ),
    "static-robust stops at RSR's plan": (
        "lmaas_env/customers/static_robust.py",
        "if upper <= max(best, floor) + within:",
        "if upper >= best:",
        f"{STATIC}::test_plans_are_certified_and_worth_what_they_say",
    ),
    "static-robust's bound is cut short": (
        "lmaas_env/customers/static_robust.py",
        "bound = min(bound, limit * rental.unit - setup)",
        "bound = max(best, floor)",
        f"{STATIC}::test_differential_evolution_reaches_the_plan_and_never_beats_it",
    ),
    "a cell of prices is bounded by its low end": (
        "agents/search/price_boxes.py",
        "max(grid[j + 1] - serving, 0.0) * hours",
        "max(grid[j] - serving, 0.0) * hours",
        f"{SEARCH}::test_no_prices_inside_a_box_pass_its_bound_and_the_bound_closes_in_on_them",
    ),
    "a box forgets a model that a customer may still select": (
        "agents/search/price_boxes.py",
        "offer = max(offer, worst[m, last[m]])",
        "offer = max(offer, worst[m, first[m]])",
        f"{SEARCH}::test_no_prices_inside_a_box_pass_its_bound_and_the_bound_closes_in_on_them",
    ),
    "IMP moves prices in the order in which models are listed": (
        "agents/imp/imp.py",
        'np.argsort(catalogue.serving_cost, kind="stable")',
        "np.arange(catalogue.size)",
        f"{IMP}::test_the_order_of_customers_and_of_models_changes_nothing",
    ),
    "climbs forget what customers choose instead": (
        "agents/imp/price_table.py",
        "offer, elsewhere = 0.0, 0.0",
        "offer, elsewhere = 0.0, 1.0",
        "tests/agents/test_restarts.py::test_climbs_end_where_no_cell_of_one_price_gains_and_the_best_come_first",
    ),
    "the personalised bound forgets the best price": (
        "agents/imp/line_search.py",
        "most = max(most, best + missed)",
        "most = max(most, 0.99 * best + missed)",
        "tests/agents/test_imp.py::test_personalised_bound_is_the_sum_of_what_each_customer_alone_is_worth",
    ),
    "hours bend where the line search takes them for smooth": (
        "agents/imp/line_search.py",
        "kinks += count + others",
        "kinks += count",
        "tests/agents/test_line_search.py::test_loss_of_a_sale_below_cost_lies_below_its_tangents_where_hours_do_not_bend",
    ),
    "a sale below cost has no tangents": (
        "agents/imp/line_search.py",
        "and left >= demand.concave_above[k]",
        "and left >= np.inf",
        "tests/agents/test_lookahead.py::test_customers_sold_to_at_a_charged_loss_do_not_make_the_search_long",
    ),
    "the line search prunes too early": (
        "agents/imp/line_search.py",
        "if block.bound <= best + exact * max(1.0, abs(best))",
        "if 0.998 * block.bound <= best + exact * max(1.0, abs(best))",
        "tests/agents/test_line_search.py::test_the_price_found_is_worth_what_a_scan_of_all_thresholds_finds",
    ),
}


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_broken_code_is_noticed(name: str, tmp_path: Path) -> None:
    file, text, replacement, certificate = MUTATIONS[name]
    without = shutil.ignore_patterns("__pycache__")
    for folder in ("lmaas_env", "agents", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = (tmp_path / file).read_text(encoding="utf-8")
    assert source.count(text) == 1, f"{file} holds {text!r} {source.count(text)} times: renew the mutation"
    (tmp_path / file).write_text(source.replace(text, replacement), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", certificate]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert run.returncode == 1, run.stdout + run.stderr
    assert " failed" in run.stdout, run.stdout
    assert "Error" in run.stdout
