"""Learning sellers: Q-learning against the paper it follows, and the measures of collusion on games that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lmaas_train.cli.main import main
from lmaas_train.evaluation.games import extreme_equilibrium, nash_equilibria
from lmaas_train.q_learning import Learned, learn
from lmaas_train.studies.repeated_hour import (
    FACTORS,
    LAGS,
    Game,
    best_reply_values,
    deviation,
    discounted,
    expected_hours,
    gains,
    limit_cycle,
)
from lmaas_train.studies.rivals import still_state

from lmaas_env import Market, Scenario
from lmaas_env.reply import anticipated_profits

DILEMMA = np.array([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])  # actions: cooperate, defect
TIT_FOR_TAT = np.array([[[0, 1], [0, 1]], [[0, 0], [1, 1]]])


def dilemma() -> Game:
    return Game(DILEMMA, np.zeros((2, 2)), np.zeros((2, 2)), competitive=2.0, joint=6.0)


def logit_duopoly() -> tuple[np.ndarray, float, float]:
    """Return the payoffs of Calvano et al. (2020), section II, and a seller's profit in equilibrium and collusion."""
    equilibrium, monopoly = 1.4729, 1.9250
    prices = np.linspace(equilibrium - 0.1 * (monopoly - equilibrium), monopoly + 0.1 * (monopoly - equilibrium), 15)

    def profit(own: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
        a, b = np.exp((2.0 - np.asarray(own)) / 0.25), np.exp((2.0 - np.asarray(other)) / 0.25)
        return (own - 1.0) * a / (a + b + 1.0)

    own = profit(prices[:, None], prices[None])
    return np.stack([own, own.T]), float(profit(equilibrium, equilibrium)), float(profit(monopoly, monopoly))


class TestQLearning:
    def test_sellers_that_value_later_hours_collude_as_in_the_paper(self) -> None:
        payoffs, low, high = logit_duopoly()
        indices: list[float] = []
        for seed in range(6):
            learned = learn(payoffs, 0.15, 4e-6, 0.95, seed)
            assert learned.settled
            path = limit_cycle(learned)
            indices.append((payoffs[:, path[:, 0], path[:, 1]].mean() - low) / (high - low))
        assert 0.7 < np.mean(indices) < 0.95  # 0.85 in the paper

    def test_sellers_that_value_no_later_hour_defect(self) -> None:
        for seed in range(5):
            learned = learn(DILEMMA, 0.1, 1e-4, 0.0, seed)
            assert (learned.strategy == 1).all()
            assert limit_cycle(learned).tolist() == [[1, 1]]

    def test_one_seed_gives_one_session(self) -> None:
        payoffs = logit_duopoly()[0]
        first, again, other = (learn(payoffs, 0.15, 1e-4, 0.95, seed) for seed in (1, 1, 2))
        assert first.periods == again.periods != other.periods
        np.testing.assert_array_equal(first.strategy, again.strategy)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"payoffs": np.zeros((2, 3, 4))}, "payoffs"),
            ({"payoffs": np.full((2, 2, 2), np.nan)}, "payoffs"),
            ({"learning_rate": 0.0}, r"learning_rate = 0.0 must be in \(0, 1\]"),
            ({"decay": 0.0}, "decay = 0.0 must be positive"),
            ({"discount": 1.0}, r"discount = 1.0 must be in \[0, 1\)"),
        ],
    )
    def test_what_is_out_of_range_is_refused(self, changes: dict, message: str) -> None:
        given = {"payoffs": DILEMMA, "learning_rate": 0.1, "decay": 1e-3, "discount": 0.9, "seed": 1}
        with pytest.raises(ValueError, match=message):
            learn(**(given | changes))


class TestMeasures:
    def test_tit_for_tat_is_no_worse_than_any_reply_though_an_hour_tempts(self) -> None:
        learned = Learned(TIT_FOR_TAT, np.array([0, 0]), 1, True)
        path = limit_cycle(learned)
        assert path.tolist() == [[0, 0]]
        for seller in (0, 1):
            hour, gain, cycle = gains(dilemma(), learned, path, seller, 0.95)
            assert (hour, cycle) == (2.0, 0.0)
            assert gain == pytest.approx(0.0, abs=1e-9)
        gain, profitable, prices = deviation(dilemma(), learned, path, 0.95)
        # Defecting once starts an alternation: 5, 0, 5, 0, ... instead of 3, 3, ...
        assert gain == pytest.approx(5.0 / (1.0 + 0.95) - 3.0)
        assert profitable == 0.0
        step = np.log(FACTORS[1] / FACTORS[0])
        np.testing.assert_allclose(prices[:4], [[step, 0.0], [0.0, step], [step, 0.0], [0.0, step]])

    def test_sellers_that_always_cooperate_are_exploited(self) -> None:
        learned = Learned(np.zeros((2, 2, 2), dtype=np.int64), np.array([0, 0]), 1, True)
        path = limit_cycle(learned)
        assert gains(dilemma(), learned, path, 1, 0.95) == pytest.approx((2.0, 2.0, 2.0))
        assert deviation(dilemma(), learned, path, 0.95)[0] == pytest.approx(2.0 * 0.05)

    def test_a_cycle_is_entered_and_left_out_of_what_came_before(self) -> None:
        strategy = np.array([[[1, 0], [1, 0]], [[1, 1], [0, 0]]])  # (0, 0), (1, 1), (0, 0), ...; from (0, 1): (0, 1)
        strategy[:, 0, 1] = 0, 1
        assert limit_cycle(Learned(strategy, np.array([0, 1]), 1, True)).tolist() == [[0, 1]]
        assert limit_cycle(Learned(strategy, np.array([1, 0]), 1, True)).tolist() == [[1, 0]]

    def test_the_best_reply_is_that_of_value_iteration(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(5):
            payoff, reply = rng.normal(size=(6, 6)), rng.integers(6, size=(6, 6))
            value = np.zeros(6)
            for _ in range(600):
                value = (payoff + 0.95 * value[reply]).max(axis=0)
            np.testing.assert_allclose(best_reply_values(payoff, reply, 0.95), value, rtol=1e-6)

    def test_discounted_profits_of_a_cycle(self) -> None:
        profit = np.array([1.0, 5.0, 2.0])
        wanted = [0.1 * sum(0.9**t * profit[(k + t) % 3] for t in range(400)) for k in range(3)]
        np.testing.assert_allclose(discounted(profit, 0.9), wanted)
        assert discounted(np.array([4.0]), 0.0) == pytest.approx([4.0])

    def test_extreme_equilibria_are_among_all(self) -> None:
        rng = np.random.default_rng(1)
        for _ in range(6):
            rows, columns = rng.normal(size=(2, 4, 3)).round(1)
            totals = [it.row_payoff + it.column_payoff for it in nash_equilibria(rows, columns)]
            for highest, wanted in ((True, max(totals)), (False, min(totals))):
                found = extreme_equilibrium(rows, columns, highest)
                assert found.row_payoff + found.column_payoff == pytest.approx(wanted, abs=1e-6)
                assert (rows @ found.column).max() <= found.row_payoff + 1e-6
                assert (found.row @ columns).max() <= found.column_payoff + 1e-6

    def test_an_hour_is_settled_as_sellers_anticipate_it(self) -> None:
        market = Market(Scenario.from_dict({"base": "rivals", "customers": 5}))
        state = still_state(market, 12, 0.65)
        prices = np.random.default_rng(0).uniform(2.0, 15.0, (7, 8))
        profit, customers, worst = expected_hours(market, state, prices)
        np.testing.assert_allclose(profit, anticipated_profits(market, state, prices))
        assert (customers >= worst - 1e-9).all()


class TestStudy:
    def test_it_writes_its_tables_and_a_figure(self, tmp_path: Path) -> None:
        (tmp_path / "small.yaml").write_text("base: rivals\ncustomers: 5\nperiods: 13\n")
        command = ["study", "collusion", "--scenario", str(tmp_path / "small.yaml"), "--hours", "12", "--sessions", "2"]
        command += ["--rates", "0.15", "--decays", "1e-4", "2e-4"]
        assert main([*command, "--out", str(tmp_path / "it")]) == 0
        lines = {it.stem: len(it.read_text().splitlines()) - 1 for it in (tmp_path / "it").glob("*.csv")}
        assert lines == {"references": 8, "sessions": 8, "cells": 4, "deviations": 2 * (LAGS + 1)}
        assert {"figure.png", "figure-dark.png", "origin.json"} <= {it.name for it in (tmp_path / "it").iterdir()}

    @pytest.mark.parametrize(
        "wrong",
        [
            ["--scenario", "static"],
            ["--sessions", "1"],
            ["--discount", "1"],
            ["--rates", "0"],
            ["--decays", "0"],
            ["--hours", "99"],
            ["--charge", "2"],
        ],
    )
    def test_wrong_options_are_refused(
        self, wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["study", "collusion", *wrong, "--out", str(tmp_path / "it")]) == 2
        assert "must" in capsys.readouterr().err
        assert not (tmp_path / "it").exists()
