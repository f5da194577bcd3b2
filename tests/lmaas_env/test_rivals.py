"""Markets of several sellers: what they share, who earns what, and how the built-in rivals price."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from lmaas_agents import IMP

import lmaas_env
from lmaas_env import Market, Population, Scenario, State
from lmaas_env.reply import anticipated_profits, best_reply, fade_scenarios
from lmaas_env.seeds import draw_days, tuning_seeds
from lmaas_env.spaces import (
    action_from_prices,
    observation_from_state,
    observed,
    posted_from_observation,
    prices_from_action,
    shown_constants,
    state_from_observation,
)
from lmaas_env.transition import transition
from tests.days import one_day, periods_of

ONE, TWO = Market("day"), Market("rivals")
THREE = Market(Scenario.from_dict({"base": "rivals", "sellers": 3, "customers": 7}), seed=2)
N, M = 24, 4


def random_prices(market: Market, lanes: int, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).uniform(np.log(2.0), np.log(30.0), (lanes, market.offers)))


def swapped(values: np.ndarray) -> np.ndarray:
    """The two halves of the last axis in the other order."""
    return np.roll(values, values.shape[-1] // 2, axis=-1)


class TestMarket:
    def test_seller_0_meets_the_day_of_the_market_with_one_seller(self) -> None:
        (alone, day), (state, draws) = (draw_days(market, [5, 6]) for market in (ONE, TWO))
        for name in ("hour", "demand", "charge"):
            np.testing.assert_array_equal(getattr(state, name), getattr(alone, name))
        for name in ("faded", "demand", "harvest", "choice_uniform"):
            np.testing.assert_array_equal(getattr(draws, name), getattr(day, name))
        np.testing.assert_array_equal(state.shadowing[:, :N], alone.shadowing)
        np.testing.assert_array_equal(draws.shadowing[..., :N], day.shadowing)
        assert not (state.shadowing[:, N:] == alone.shadowing).any()

    def test_a_second_seller_at_prices_that_nobody_pays_leaves_the_market_as_it_is(self) -> None:
        far = dataclasses.replace(TWO.scenario, price_cap=1e6)
        two, one = Market(far), Market(dataclasses.replace(far, sellers=1))
        (alone, day), (state, draws) = draw_days(one, [1]), draw_days(two, [1])
        for hour in range(24):
            prices = random_prices(ONE, 1, hour)
            expected, alone = one.settle(prices, alone, day.at(hour))
            found, state = two.settle(np.concatenate([prices, 0.0 * prices + 1e6], axis=1), state, draws.at(hour))
            np.testing.assert_array_equal(found.profit[:, 0], expected.profit)
            np.testing.assert_array_equal(found.choice, expected.choice)
            np.testing.assert_array_equal(state.charge, alone.charge)

    def test_sellers_that_swap_places_swap_their_results(self) -> None:
        there = TWO.population
        other = Market(
            TWO.scenario,
            population=there._replace(distance=there.other_distance[:, 0], other_distance=there.distance[:, None]),
        )
        state, draws = draw_days(TWO, [3, 4])
        mirrored, mirrored_draws = (it._replace(shadowing=swapped(it.shadowing)) for it in (state, draws))
        for hour in range(24):
            prices = random_prices(TWO, 2, hour)
            one, state = TWO.settle(prices, state, draws.at(hour))
            two, mirrored = other.settle(swapped(prices), mirrored, mirrored_draws.at(hour))
            np.testing.assert_array_equal(two.profit, one.profit[:, ::-1])
            np.testing.assert_array_equal(two.choice, np.where(one.choice < 0, -1, (one.choice + M) % (2 * M)))
            np.testing.assert_array_equal(two.hours, one.hours)
            np.testing.assert_array_equal(mirrored.charge, state.charge)
            np.testing.assert_array_equal(mirrored.shadowing, swapped(state.shadowing))

    @pytest.mark.parametrize("market", [TWO, THREE], ids=["two", "three"])
    def test_what_sellers_earn_is_what_customers_pay_less_costs(self, market: Market) -> None:
        state, draws = one_day(market, 2)
        catalogue, sellers = market.catalogue, market.scenario.sellers
        for hour, period in enumerate(periods_of(draws)):
            settlement, after = market.settle(prices := random_prices(market, 1, hour)[0], state, period)
            rented, buys = settlement.hours.sum(axis=1), settlement.choice >= 0
            paid = np.where(buys, prices[settlement.choice] * rented, 0.0)
            for s in range(sellers):
                mine = buys & (settlement.choice // M == s)
                model = settlement.choice[mine] % M
                cost = (catalogue.serving_cost[model] * rented[mine] + catalogue.adaptation_cost[model]).sum()
                assert settlement.revenue[s] == pytest.approx(paid[mine].sum())
                assert settlement.profit[s] == pytest.approx(paid[mine].sum() - cost - catalogue.training_cost.sum())
            assert settlement.revenue.sum() == pytest.approx(paid.sum())
            state = after

    def test_sites_are_drawn_by_the_seed_and_the_sellers_number(self) -> None:
        for s in (1, 2):
            expected = np.exp(np.random.default_rng([2, s]).uniform(np.log(60.0), np.log(1000.0), 7))
            np.testing.assert_array_equal(THREE.population.other_distance[:, s - 1], expected)
        gamma = TWO.constants.customers
        alone = Market(TWO.scenario, population=TWO.population._replace(distance=TWO.population.other_distance[:, 0]))
        np.testing.assert_array_equal(gamma[5], alone.constants.customers[0])

    def test_distances_to_other_sites_are_read_from_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "customers.csv"
        THREE.population.to_csv(file)
        assert "distance_m_2,distance_m_3,task_value_1_usd" in file.read_text().splitlines()[0]
        for found, own in zip(Population.from_csv(file), THREE.population, strict=True):
            np.testing.assert_array_equal(found, own)
        (tmp_path / "own.yaml").write_text("base: rivals\ncustomers_file: customers.csv\n")
        market = Market(str(tmp_path / "own.yaml"))
        np.testing.assert_array_equal(market.population.other_distance, THREE.population.other_distance[:, :1])
        (tmp_path / "four.yaml").write_text("base: rivals\nsellers: 4\ncustomers_file: customers.csv\n")
        with pytest.raises(ValueError, match="other_distance is known of 2 sites, sellers = 4"):
            Market(str(tmp_path / "four.yaml"))

    def test_resampled_customers_have_sites_of_their_own_after_all_else(self) -> None:
        scenario = dataclasses.replace(Scenario.preset("population"), sellers=2)
        env = gym.make("LMaaS-v0", scenario=scenario).unwrapped
        seen, _ = env.reset(seed=4)
        rng = np.random.default_rng(4)
        first = Population.sample(dataclasses.replace(scenario, sellers=1), rng)
        market: Market = env.market  # pyright: ignore
        np.testing.assert_array_equal(market.population.distance, first.distance)
        expected = np.exp(rng.uniform(np.log(60.0), np.log(1000.0), N))
        np.testing.assert_array_equal(market.population.other_distance[:, 0], expected)
        found, state = observed(Market(scenario), seen)
        for own, shown in zip(market.population, found.population, strict=True):
            np.testing.assert_allclose(shown, own, rtol=1e-5)
        np.testing.assert_allclose(state.shadowing, env.state.shadowing, rtol=1e-5, atol=1e-5)  # pyright: ignore

    @pytest.mark.parametrize(("name", "what"), [("drift", "full"), ("unknown", "public"), ("static", "full")])
    def test_other_scenarios_run_with_two_sellers(self, name: str, what: str) -> None:
        scenario = dataclasses.replace(Scenario.preset(name), sellers=2)
        lanes = lmaas_env.LMaaSVectorEnv(2, scenario, observation=what)
        scalar = [gym.make("LMaaS-v0", scenario=scenario, observation=what) for _ in range(2)]
        seen, _ = lanes.reset(seed=1)
        np.testing.assert_array_equal(seen, [env.reset(seed=1 + i)[0] for i, env in enumerate(scalar)])
        rng = np.random.default_rng(0)
        for _ in range(min(scenario.periods, 26)):
            actions = rng.uniform(-1.0, 1.0, (2, M)).astype(np.float32)
            seen, reward, *_ = lanes.step(actions)
            steps = [env.step(action) for env, action in zip(scalar, actions, strict=True)]
            np.testing.assert_allclose(seen, [step[0] for step in steps], rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(reward, [step[1] for step in steps], rtol=1e-9)


class TestObservation:
    @pytest.mark.parametrize("seller", [0, 1, 2])
    def test_a_seller_sees_its_own_site_and_prices_first(self, seller: int) -> None:
        state, _ = one_day(THREE, 1)
        n, sale = 7, np.linspace(-0.9, 0.9, 3 * M)[None]
        seen = observation_from_state(THREE, state, sale, seller)
        assert seen.shape == (5 * n + 3 + 3 * M,)
        for i in range(3):
            s = (seller + i) % 3
            own = state.shadowing[s * n : (s + 1) * n] / THREE.scenario.shadowing_sigma
            np.testing.assert_allclose(seen[i * n : (i + 1) * n], own, rtol=1e-6)
        np.testing.assert_allclose(seen[-3 * M :], sale[0], rtol=1e-6)
        back = state_from_observation(THREE, seen, seller)
        for name in ("shadowing", "demand", "charge"):
            np.testing.assert_allclose(getattr(back, name), getattr(state, name), rtol=1e-5, atol=1e-5)
        posted = posted_from_observation(THREE, seen, seller)
        np.testing.assert_allclose(posted, np.roll(prices_from_action(THREE, seen[-3 * M :]), seller * M))

    def test_a_public_observation_holds_all_prices_and_only_ones_own_sales(self) -> None:
        env = gym.make("LMaaS-Rival-v0", observation="public")
        seen, _ = env.reset(seed=0)
        np.testing.assert_array_equal(seen[3:], [1.0] * 8 + [0.0] * 9)
        action = np.linspace(-0.6, 0.3, 4, dtype=np.float32)
        seen, reward, *_, info = env.step(action)
        np.testing.assert_allclose(seen[3:7], action, atol=1e-6)
        np.testing.assert_allclose(prices_from_action(TWO, seen[7:11]), info["posted"][4:], rtol=1e-5)
        np.testing.assert_allclose(seen[11:15], info["hours_per_model"] / N, rtol=1e-6)
        np.testing.assert_allclose(seen[15:19], info["customers_per_model"] / N, rtol=1e-6)
        assert seen[19] == pytest.approx(reward)


def played(env: Any, seed: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """All observations and posted prices of a day at random actions."""
    rng = np.random.default_rng(seed)
    seen, prices, over = [env.reset(seed=seed)[0]], [], False
    while not over:
        observation, _, over, _, info = env.step(rng.uniform(-0.8, 0.8, 4).astype(np.float32))
        seen.append(observation)
        prices.append(info["posted"])
    return seen, prices


class TestRivals:
    def test_imp_replies_to_the_last_prices_in_the_present_state(self) -> None:
        env = gym.make("LMaaS-Rival-v0")
        env.reset(seed=3)
        posted = np.full(8, 40.0)
        for hour in range(3):
            reply = best_reply(TWO, env.unwrapped.state, 1, posted)  # pyright: ignore
            *_, info = env.step(np.full(4, 0.1 * hour, dtype=np.float32))
            np.testing.assert_allclose(info["posted"][4:], reply, rtol=1e-6)
            posted = info["posted"]

    @pytest.mark.parametrize("rival", ["fixed", "cost-plus"])
    def test_rivals_that_see_nothing_keep_their_prices(self, rival: str) -> None:
        _, prices = played(gym.make("LMaaS-Rival-v0", rival=rival), 1)
        assert np.ptp([row[4:] for row in prices], axis=0).max() == 0.0
        assert (np.ptp(prices[0][4:]) > 0.1) == (rival == "cost-plus")

    @pytest.mark.parametrize("batch", [True, False])
    def test_a_seller_with_predict_sees_the_market_from_its_own_site(self, batch: bool) -> None:
        class Watching:
            takes_batches = batch

            def predict(
                self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
            ) -> tuple[np.ndarray, Any]:
                count = np.where(episode_start, 0, 0 if state is None else state) + 1
                action = 0.2 * np.asarray(observation)[..., :4] + 0.01 * np.reshape(count, (*np.shape(count), 1))[0]
                return np.clip(action, -1.0, 1.0), count

        lanes = lmaas_env.LMaaSVectorEnv(2, "rivals", rival=Watching())
        lanes.reset(seed=7)
        for hour in range(26):
            state = lanes.state
            assert state is not None
            *_, info = lanes.step(np.zeros((2, 4)))
            if hour != 24:  # which starts the next day
                count = hour % 25 + 1
                wanted = 0.2 * state.shadowing[:, N : N + 4] / 4.0 + 0.01 * count
                np.testing.assert_allclose(info["posted"][:, 4:], prices_from_action(TWO, wanted), rtol=1e-5)

    def test_a_rival_that_is_unknown_or_has_no_place_is_refused(self) -> None:
        with pytest.raises(ValueError, match="rival = 'impp' is unknown, did you mean 'imp'"):
            gym.make("LMaaS-Rival-v0", rival="impp")
        with pytest.raises(
            ValueError, match="rival = 3 must be one of imp, fixed, cost-plus, or a seller with predict"
        ):
            gym.make("LMaaS-Rival-v0", rival=3)
        with pytest.raises(ValueError, match="rival = 'imp' needs a scenario with sellers >= 2"):
            gym.make("LMaaS-v0", rival="imp")
        with pytest.raises(ValueError, match="rival names 2 sellers, the scenario has 1"):
            gym.make("LMaaS-Rival-v0", rival=["imp", "imp"])


class TestReply:
    def test_replies_of_lanes_are_those_of_each_alone_whatever_their_own_customers(self) -> None:
        state, _ = draw_days(TWO, tuning_seeds(5))
        posted = random_prices(TWO, 5)
        together = best_reply(TWO, state, 0, posted)
        for k in range(5):
            own = State(0, *(array[k] for array in state[1:]))
            np.testing.assert_array_equal(best_reply(TWO, own, 0, posted[k]), together[k])
        assert (together >= 1.0).all()
        assert (together <= 40.0).all()

    @pytest.mark.parametrize("market", [TWO, THREE], ids=["two", "three"])
    def test_no_price_of_a_fine_grid_alone_earns_much_more_than_the_reply(self, market: Market) -> None:
        state, _ = one_day(market, 9)
        state = state._replace(hour=14)
        few = fade_scenarios(market, 1)
        for seller in range(market.scenario.sellers):
            posted = random_prices(market, 1, seller)[0]
            posted[seller * M : (seller + 1) * M] = best_reply(market, state, seller, posted, few)
            earned = anticipated_profits(market, state, posted, few)[seller]
            for m in range(seller * M, (seller + 1) * M):
                trials = np.tile(posted, (200, 1))
                trials[:, m] = np.geomspace(1.0, 40.0, 200)
                best = anticipated_profits(market, state, trials, few)[:, seller].max()
                assert best <= earned + 0.03 * abs(earned)

    def test_expected_profits_are_the_mean_of_settlements_over_the_fades(self) -> None:
        state, draws = one_day(TWO, 4)
        posted, scenarios = random_prices(TWO, 1)[0], fade_scenarios(TWO, 16)
        period = draws.at(0)
        profits = [TWO.settle(posted, state, period._replace(faded=faded.T.copy()))[0].profit for faded in scenarios]
        np.testing.assert_allclose(anticipated_profits(TWO, state, posted), np.mean(profits, axis=0), rtol=1e-9)

    def test_bad_input_is_refused(self) -> None:
        state, _ = one_day(TWO, 0)
        with pytest.raises(ValueError, match=r"seller = 2 must be in \[0, 1\]"):
            best_reply(TWO, state, 2, np.full(8, 5.0))
        with pytest.raises(ValueError, match=r"prices has shape \(4,\), it must be \(8,\)"):
            best_reply(TWO, state, 1, np.full(4, 5.0))
        with pytest.raises(ValueError, match=r"prices\[0\] = 50.0 must be in \[1, 40\]"):
            anticipated_profits(TWO, state, np.full(8, 50.0))


def test_sellers_who_price_for_a_market_of_their_own_are_refused() -> None:
    state, draws = draw_days(TWO, [0])
    with pytest.raises(ValueError, match=r"prices have shape \(1, 4\), they must be of all 8 offers"):
        TWO.settle_batch(np.full((1, M), 5.0), state, draws, TWO.new_record(1))
    with pytest.raises(ValueError, match=r"actions have shape \(1, 4\), they must be of all 8 offers"):
        transition(TWO, shown_constants(TWO), np.zeros((1, M)), state, draws)


class TestImp:
    def test_the_full_search_replies_as_well_as_the_fast_one_or_better(self) -> None:
        imp, (state, _) = IMP(TWO, seller=1), one_day(TWO, 3)
        state = state._replace(hour=13)
        posted = random_prices(TWO, 1)[0]
        problem, found = imp.reply_problem(state, posted), imp.reply(state, posted)
        fast = best_reply(TWO, state, 1, posted)
        assert imp.profit_of(problem, found.prices) == pytest.approx(found.profit, rel=1e-9)
        joint = np.concatenate([posted[:M], found.prices])
        assert anticipated_profits(TWO, state, joint)[1] == pytest.approx(found.profit, rel=1e-9)
        assert found.profit > 0.999 * imp.profit_of(problem, fast) > 0.5 * found.profit

    @pytest.mark.parametrize("seller", [0, 1])
    def test_its_answer_to_an_observation_is_the_reply_to_the_prices_shown(self, seller: int) -> None:
        imp, (state, _) = IMP(TWO, seller=seller, restarts=0), one_day(TWO, 3)
        posted = random_prices(TWO, 1)[0]
        sale = np.roll(action_from_prices(TWO, posted), -seller * M)[None].astype(np.float64)
        seen = observation_from_state(TWO, state, sale, seller)
        action, _ = imp.predict(seen)
        expected = imp.reply(state_from_observation(TWO, seen, seller), posted_from_observation(TWO, seen, seller))
        np.testing.assert_allclose(prices_from_action(TWO, action), expected.prices, rtol=1e-5)
        np.testing.assert_array_equal(imp.predict(np.stack([seen, seen]))[0][1], action)


class TestParallelEnv:
    def test_it_keeps_the_contracts_of_pettingzoo(self) -> None:
        test = pytest.importorskip("pettingzoo.test")
        pettingzoo = pytest.importorskip("pettingzoo")
        assert isinstance(lmaas_env.parallel_env(), pettingzoo.ParallelEnv)
        test.parallel_api_test(lmaas_env.parallel_env(), num_cycles=60)
        test.parallel_seed_test(lmaas_env.parallel_env, num_cycles=30)

    def test_seller_0_beside_imp_is_the_gymnasium_environment(self) -> None:
        env, both = gym.make("LMaaS-Rival-v0"), lmaas_env.parallel_env()
        seen, _ = env.reset(seed=5)
        all_seen, _ = both.reset(seed=5)
        np.testing.assert_array_equal(all_seen["seller_0"], seen)
        posted = np.full(8, 40.0)
        for hour in range(24):
            action = np.full(4, 0.02 * hour, dtype=np.float32)
            reply = best_reply(both.market, both.market_state, 1, posted)  # pyright: ignore
            there = lmaas_env.spaces.action_from_prices(both.market, reply)
            seen, reward, over, _, info = env.step(action)
            all_seen, rewards, overs, _, infos = both.step({"seller_0": action, "seller_1": there})
            np.testing.assert_array_equal(all_seen["seller_0"], seen)
            assert rewards["seller_0"] == reward
            assert infos["seller_1"]["profit"] == info["profits"][1]
            assert overs == {"seller_0": over, "seller_1": over}
            posted = info["posted"]
        assert both.agents == []
        with pytest.raises(gym.error.ResetNeeded):
            both.step({})

    def test_actions_of_other_agents_are_refused(self) -> None:
        env = lmaas_env.parallel_env()
        env.reset(seed=0)
        with pytest.raises(ValueError, match=r"actions are of \['seller_1'\], they must be of seller_0, seller_1"):
            env.step({"seller_1": np.zeros(4)})

    @pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
    def test_it_draws_all_offers(self, mode: str) -> None:
        env = lmaas_env.parallel_env(render_mode=mode)
        env.reset(seed=0)
        before = env.render()
        env.step(dict.fromkeys(env.agents, np.full(4, -0.2)))
        after = env.render()
        assert not np.array_equal(np.asarray(before), np.asarray(after))
        if mode == "ansi":
            assert "1 xlarge" in str(after)
            assert "sellers' profits" in str(after)


def test_sellers_and_fade_patterns_that_do_not_exist_are_refused() -> None:
    market = Market("rivals")
    state, prices = draw_days(market, [3])[0].lane(0), np.full(market.offers, 9.0)
    seen = observation_from_state(market, state)
    for seller in (2, -1, 0.5):
        for look in (
            lambda it: observation_from_state(market, state, seller=it),
            lambda it: state_from_observation(market, seen, it),
            lambda it: posted_from_observation(market, seen, it),
        ):
            with pytest.raises(ValueError, match=r"seller = .* must be in \[0, 1\]"):
                look(seller)
    faded = fade_scenarios(market, 4)
    for wrong in (faded.swapaxes(1, 2), faded[0], faded.astype(float), faded[:0], faded[:, :, :-1]):
        with pytest.raises(ValueError, match="faded has shape"):
            best_reply(market, state, 0, prices, wrong)
        with pytest.raises(ValueError, match="faded has shape"):
            anticipated_profits(market, state, prices, wrong)
