"""Evaluations of markets with several sellers: who sells beside the first, and what is measured."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice, JointIMP, Planner, PredictiveIMP, PublicIMP, RandomPrice, RivalLookahead
from lmaas_agents.energy import energy_value
from lmaas_train import evaluate
from lmaas_train.cli.main import main
from lmaas_train.evaluation.evaluate import Evaluation
from lmaas_train.evaluation.games import best_cycle, nash_equilibria
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.evaluation.sellers import rival_of
from lmaas_train.evaluation.tournament import tournament
from lmaas_train.studies.rivals import deviation_gain, iterated_replies, still_state

from lmaas_env import LMaaSVectorEnv, Market, Scenario
from lmaas_env.reply import anticipated_profits, best_reply
from lmaas_env.spaces import assumed_state

SMALL = Market(Scenario.from_dict({"base": "rivals", "customers": 6, "periods": 3}))
SEEDS = [5, 6]


class TestRollout:
    @pytest.mark.parametrize("rival", [None, "fixed", FixedPrice(SMALL, 4 * [3.0])])
    def test_a_day_is_that_of_the_environment(self, rival: object) -> None:
        seller = FixedPrice(SMALL, [2.0, 3.0, 4.0, 5.0])
        days = rollout(SMALL, seller, SEEDS, rival=rival)  # pyright: ignore[reportArgumentType]
        each = rollout_each(SMALL, seller, SEEDS, rival=rival)  # pyright: ignore[reportArgumentType]
        for k, seed in enumerate(SEEDS):
            env = gym.make("LMaaS-Rival-v0", scenario=SMALL.scenario, rival=rival)
            seen, _ = env.reset(seed=seed)
            for hour in range(3):
                seen, _, _, _, info = env.step(seller.predict(seen)[0])
                assert days.profit[k, hour] == each.profit[k, hour] == pytest.approx(info["profit"])
                assert days.other_profit[k, hour].tolist() == pytest.approx(info["profits"][1:].tolist())
                np.testing.assert_allclose(days.prices[k, hour], info["prices"])
                np.testing.assert_allclose(days.hours_per_model[k, hour], info["hours_per_model"])
        np.testing.assert_allclose(days.rival_day_profit, days.other_profit.sum(axis=(1, 2)))

    def test_one_seller_has_no_rivals(self) -> None:
        market = Market(Scenario.from_dict({"base": "day", "customers": 6, "periods": 3}))
        assert rollout(market, FixedPrice(market, 4 * [3.0]), SEEDS).other_profit.shape == (2, 3, 0)


class TestEvaluate:
    def test_a_rival_is_any_seller_by_name_and_results_can_be_read_again(self, tmp_path: Path) -> None:
        found = evaluate(["fixed", "public-imp"], SMALL, days=2, rival="cost-plus", out=tmp_path / "it", progress=False)
        assert {row.seller for row in found.rows} == {"imp", "planner", "fixed", "public-imp"}
        assert found.anchors == ("imp", "planner")
        again = Evaluation.load(tmp_path / "it")
        np.testing.assert_array_equal(again.days["fixed"].other_profit, found.days["fixed"].other_profit)
        assert (tmp_path / "it" / "report.html").exists()

    def test_a_rival_that_tells_sites_apart_is_made_for_its_own(self) -> None:
        (made,) = rival_of(IMP, SMALL)
        assert made.seller == 1
        assert isinstance(rival_of("random", SMALL)[0], RandomPrice)
        assert rival_of(None, SMALL) is None

    @pytest.mark.parametrize(
        ("seller", "message"),
        [
            ("public-lookahead", "'rivals' has sellers = 2: days are planned for a market of one seller"),
            ("exact", "'rivals' has sellers = 2: the exact optimum is known for a market of one seller"),
        ],
    )
    def test_what_prices_for_a_market_of_its_own_is_refused(self, seller: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            evaluate(seller, SMALL, days=2, progress=False)

    def test_a_rival_needs_a_place(self) -> None:
        with pytest.raises(ValueError, match="rival = 'random' needs a scenario with sellers >= 2"):
            evaluate("fixed", "static", days=2, rival="random", progress=False)


class TestPublicIMP:
    def test_it_replies_to_the_prices_that_it_sees_in_an_assumed_state(self) -> None:
        market = Market("rivals")
        state = market.initial_state(np.random.default_rng(3))
        posted = np.full(8, 3.0)
        found, assumed = PublicIMP(market).reply(state, posted), assumed_state(market, 0)
        np.testing.assert_array_equal(found.prices, IMP(market).reply(assumed, posted).prices)
        assert not np.allclose(found.prices, best_reply(market, state, 0, posted))

    def test_it_solves_the_assumed_state_as_well(self) -> None:
        seller, states = (
            PublicIMP(Market("day")),
            [Market("day").initial_state(np.random.default_rng(i)) for i in (3, 4)],
        )
        first, second = (seller.solve(state) for state in states)
        np.testing.assert_array_equal(first.prices, second.prices)
        np.testing.assert_array_equal(first.prices, seller.prices(states[0]))


class TestSellers:
    def test_predictive_imp_replies_to_what_the_rival_will_post(self) -> None:
        market = Market("rivals")
        state = market.initial_state(np.random.default_rng(3))
        posted = np.geomspace(2.0, 9.0, 8)
        for seller in (0, 1):
            own, other = slice(4 * seller, 4 * seller + 4), slice(4 - 4 * seller, 8 - 4 * seller)
            expected = posted.copy()
            expected[other] = best_reply(market, state, 1 - seller, posted)
            found = PredictiveIMP(market, seller).reply(state, posted).prices
            np.testing.assert_array_equal(found, IMP(market, seller=seller).reply(state, expected).prices)
            profits = anticipated_profits(
                market, state, np.stack([_with(expected, own, p) for p in (posted[own], found)])
            )
            assert profits[1, seller] > profits[0, seller]

    def test_look_ahead_charges_energy_at_what_it_brings_if_the_others_prices_last(self) -> None:
        market = Market("rivals")
        state, posted = still_state(market, 12, 0.3), np.full(8, 6.0)
        for seller in (0, 1):
            own = slice(4 * seller, 4 * seller + 4)
            imp, lookahead = IMP(market, seller=seller), RivalLookahead(market, seller)
            free, charged = imp.reply_problem(state, posted), lookahead.reply_problem(state, posted)
            assert (charged.seller.serving_cost >= free.seller.serving_cost).all()
            assert (charged.seller.serving_cost > free.seller.serving_cost + 0.01).any()
            dear = posted.copy()
            dear[4 - 4 * seller : 8 - 4 * seller] = 40.0
            alone = lookahead.reply_problem(state, dear)
            assert (alone.seller.serving_cost != charged.seller.serving_cost).any()  # the others' prices count
            posted[own] = 40.0  # one's own last prices count only as a start of the reply's search
            again = lookahead.reply_problem(state, posted)
            np.testing.assert_allclose(again.seller.serving_cost, charged.seller.serving_cost, rtol=0.3, atol=0.2)
            posted[own] = 6.0
        last = still_state(market, market.scenario.periods - 1, 0.3)
        np.testing.assert_array_equal(
            RivalLookahead(market).reply(last, posted).prices, IMP(market).reply(last, posted).prices
        )

    def test_the_value_of_energy_is_that_of_one_seller(self) -> None:
        market = Market({"customers": 3, "sellers": 2, "periods": 2, "fade_probability": 0.0})
        prices = np.r_[np.full(4, 3.0), np.full(4, 40.0)][None]
        own, other = (energy_value(market, prices, 8, seller)[0, :, -1] for seller in (0, 1))
        assert own.sum() > 5.0 * max(other.sum(), 0.01)
        swapped = np.roll(prices, 4, axis=1)
        assert energy_value(market, swapped, 8, 1)[0, :, -1].sum() > energy_value(market, swapped, 8, 0)[0, :, -1].sum()

    def test_the_planner_withdraws_when_the_rival_is_cheap_and_undercuts_it_after(self) -> None:
        market = Market("rivals")
        state, cheap = market.as_batch(still_state(market, 12, 0.65)), np.full((1, 8), 1.5)
        planner = Planner(market)
        assert planner.prices(state, cheap)[0].min() > 10.0
        assert planner.prices(state, np.full((1, 8), 40.0))[0].min() < 20.0

    def test_planning_pays(self) -> None:
        market = Market("rivals")
        imp, planner = (rollout(market, it, [3, 4]).day_profit for it in (IMP(market), Planner(market)))
        assert (planner > 1.3 * imp).all()

    def test_lanes_are_planned_as_each_alone(self) -> None:
        market = Market("rivals")
        env = LMaaSVectorEnv(3, "rivals")
        seen, _ = env.reset(seed=1)
        for _ in range(3):
            action, _ = Planner(market).predict(seen)
            for row, own in zip(seen, action, strict=True):
                np.testing.assert_array_equal(Planner(market).predict(row)[0], own)
            seen, *_ = env.step(action)

    def test_a_monopolist_with_all_sites_earns_more_than_both_replying(self) -> None:
        market = Market("rivals")
        state = still_state(market, 12, 0.65)
        found = JointIMP(market).solve(state)
        assert found.prices.shape == (8,)
        assert found.profit == pytest.approx(anticipated_profits(market, state, found.prices).sum())
        assert found.profit > 2.0 * anticipated_profits(market, state, np.full(8, 3.0)).sum()
        assert found.profit <= found.bound

    @pytest.mark.parametrize("seller", [PredictiveIMP, Planner, RivalLookahead, JointIMP])
    def test_they_need_rivals(self, seller: type) -> None:
        with pytest.raises(ValueError, match="scenario 'static' has sellers = 1"):
            seller(Market("static"))


class TestGames:
    @pytest.mark.parametrize(
        ("row", "column", "wanted"),
        [
            ([[1, -1], [-1, 1]], [[-1, 1], [1, -1]], [([0.5, 0.5], [0.5, 0.5])]),
            ([[3, 0], [5, 1]], [[3, 5], [0, 1]], [([0, 1], [0, 1])]),
            (
                [[2, 0], [0, 1]],
                [[1, 0], [0, 2]],
                [([1, 0], [1, 0]), ([0, 1], [0, 1]), ([2 / 3, 1 / 3], [1 / 3, 2 / 3])],
            ),
        ],
        ids=["matching pennies", "prisoners' dilemma", "battle of the sexes"],
    )
    def test_equilibria_of_known_games(self, row: list[list[float]], column: list[list[float]], wanted: list) -> None:
        found = nash_equilibria(np.array(row, dtype=float), np.array(column, dtype=float))
        assert len(found) == len(wanted)
        for own, other in wanted:
            assert any(np.allclose(it.row, own) and np.allclose(it.column, other) for it in found)

    def test_no_strategy_pays_more_than_an_equilibrium(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(20):
            rows, columns = rng.normal(size=(2, 4, 5))
            found = nash_equilibria(rows, columns)
            assert found
            for it in found:
                assert (rows @ it.column).max() <= it.row_payoff + 1e-8
                assert (it.row @ columns).max() <= it.column_payoff + 1e-8

    def test_the_best_cycle_is_that_of_all_cycles(self) -> None:
        rng = np.random.default_rng(1)
        for count in (1, 2, 5):
            rewards = rng.normal(size=(count, count))
            mean, cycle = best_cycle(rewards)
            every = [it for size in range(1, count + 1) for it in itertools.permutations(range(count), size)]
            assert mean == pytest.approx(max(_mean(rewards, it) for it in every))
            assert mean == pytest.approx(_mean(rewards, cycle))


def _with(posted: np.ndarray, own: slice, prices: np.ndarray) -> np.ndarray:
    changed = posted.copy()
    changed[own] = prices
    return changed


def _mean(rewards: np.ndarray, cycle: Sequence[int]) -> float:
    return float(np.mean([rewards[a, b] for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)]))


class TestStudy:
    def test_it_writes_its_tables(self, tmp_path: Path) -> None:
        (tmp_path / "small.yaml").write_text("base: rivals\ncustomers: 5\nperiods: 3\n")
        out = tmp_path / "study"
        arguments = ["--scenario", str(tmp_path / "small.yaml"), "--days", "2", "--starts", "2", "--hours", "2"]
        assert main(["study", "rivals", *arguments, "--out", str(out)]) == 0
        rows = (out / "references.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in rows] == ["seller", "imp", "predictive-imp", "planner", "joint"]
        assert len((out / "days.csv").read_text().splitlines()) == 1 + 4 * 2
        assert len((out / "hours.csv").read_text().splitlines()) == 1 + 5
        assert len((out / "equilibria.csv").read_text().splitlines()) == 1 + 2
        assert main(["study", "rivals", "--scenario", "static", "--out", str(tmp_path / "no")]) == 2

    def test_the_gain_of_a_deviation_is_found_and_bounded(self) -> None:
        market = Market("rivals")
        state, posted = still_state(market, 12, 0.65), np.full(8, 5.0)
        for seller in (0, 1):
            imp, own = IMP(market, seller=seller), slice(4 * seller, 4 * seller + 4)
            found, earned = imp.reply(state, posted), imp.profit_of(imp.reply_problem(state, posted), posted[own])
            gain, bound = deviation_gain(imp, state, posted)
            assert gain == pytest.approx(found.profit - earned)
            assert 0.0 < gain <= bound
            gain, rest = deviation_gain(imp, state, _with(posted, own, found.prices))
            assert gain <= 1e-6 * found.profit
            assert rest == pytest.approx(bound + earned - found.profit)

    def test_replies_repeat_in_a_cycle(self) -> None:
        market = Market("rivals")
        (found,) = iterated_replies(market, still_state(market, 15, 0.65), 1)
        assert found.length > 1
        assert np.isnan(found.gain)
        assert found.profit > 10.0


class TestTournament:
    def test_every_ordered_pair_sells_the_same_days(self, tmp_path: Path) -> None:
        out = tmp_path / "it"
        found = tournament(["random", "fixed"], SMALL, days=2, out=out, progress=False)
        assert found.sellers == ["imp", "random", "fixed"]
        for rival in ("imp", "fixed"):
            alone = evaluate(["random", "fixed"], SMALL, days=2, rival=rival, progress=False)
            for seller in found.sellers:
                np.testing.assert_array_equal(found.days[rival][seller].profit, alone.days[seller].profit)
                np.testing.assert_array_equal(found.days[rival][seller].other_profit, alone.days[seller].other_profit)
        own, other = found.matrices
        assert own[1, 1] != pytest.approx(other[1, 1])  # two random sellers draw different prices
        for it in found.equilibria:
            assert (own @ it.column).max() <= it.row_payoff + 1e-6
            assert (it.row @ other).max() <= it.column_payoff + 1e-6
        assert len((out / "payoffs.csv").read_text().splitlines()) == 1 + 9
        assert len((out / "mixture.csv").read_text().splitlines()) == 1 + 6 * len(found.equilibria)
        assert "Tournament" in (out / "report.html").read_text(encoding="utf-8")

    @pytest.mark.heavy
    def test_compare_runs_it_unless_a_rival_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "small.yaml").write_text("base: rivals\ncustomers: 5\nperiods: 3\n")
        command = ["compare", str(tmp_path / "small.yaml"), "--days", "2", "--sellers", "fixed"]
        assert main([*command, "--out", str(tmp_path / "all")]) == 0
        assert "equilibrium 1: site 0" in capsys.readouterr().out
        assert main([*command, "--rival", "fixed", "--out", str(tmp_path / "one")]) == 0
        assert "equilibrium" not in capsys.readouterr().out
        assert not (tmp_path / "one" / "payoffs.csv").exists()

    def test_it_needs_two_sellers_and_few_policies(self) -> None:
        with pytest.raises(ValueError, match="scenario 'static' has sellers = 1, it must have 2"):
            tournament("fixed", Market("static"), days=2)
        with pytest.raises(ValueError, match="sellers: 9 with imp, a tournament has at most 8"):
            tournament({str(i): FixedPrice(SMALL, 4 * [2.0 + i]) for i in range(8)}, SMALL, days=2)
