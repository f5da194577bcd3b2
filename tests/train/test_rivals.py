"""Evaluations of markets with several sellers: who sells beside the first, and what is measured."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice, RandomPrice
from lmaas_train import evaluate
from lmaas_train.evaluation.evaluate import Evaluation
from lmaas_train.evaluation.rollout import rollout, rollout_each
from lmaas_train.evaluation.sellers import rival_of

from lmaas_env import Market, Scenario
from lmaas_env.reply import best_reply

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
        assert {row.seller for row in found.rows} == {"imp", "fixed", "public-imp"}
        assert np.isnan(found["fixed"].score.mean)
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
            ("lookahead", "'rivals' has sellers = 2: days are planned for a market of one seller"),
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
        from lmaas_agents import PublicIMP

        from lmaas_env.spaces import assumed_state

        market = Market("rivals")
        state = market.initial_state(np.random.default_rng(3))
        posted = np.full(8, 3.0)
        found, assumed = PublicIMP(market).reply(state, posted), assumed_state(market, 0)
        np.testing.assert_array_equal(found.prices, IMP(market).reply(assumed, posted).prices)
        assert not np.allclose(found.prices, best_reply(market, state, 0, posted))
