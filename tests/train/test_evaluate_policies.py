"""`lmaas_train.evaluate`: every form of policy, the numbers of `lmaas compare`, clear refusals, and the result."""

from __future__ import annotations

import csv
import dataclasses
import functools
import importlib.machinery
import json
import pickle
import re
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lmaas_agents import IMP, FixedPrice, PricingSeller, load_policy
from lmaas_agents.learned.policy_file import SHIPPED, save_policy
from lmaas_train import Evaluation, batched, evaluate
from lmaas_train.__main__ import main
from lmaas_train.evaluation.adapters import algorithm
from lmaas_train.evaluation.certified_bounds import certified_bounds
from lmaas_train.evaluation.evaluate import default_anchors
from lmaas_train.evaluation.results import DAYS, TABLE
from lmaas_train.evaluation.sellers import identity, sellers_of
from lmaas_train.evaluation.statistics import mean_estimate, normalised_score

from lmaas_env import Market, Scenario
from lmaas_env.seeds import held_out_seeds
from lmaas_env.spaces import action_from_prices

ROOT = Path(__file__).parents[2]

SMALL = Scenario(name="small", customers=5, periods=3)
MARKET = Market(SMALL)
MODELS = MARKET.catalogue.size
RISING = np.linspace(-0.5, 0.5, MODELS)
quick = functools.partial(evaluate, scenario=MARKET, days=3, sell_anchors=False, progress=False)

CODE = f"""
import numpy as np
from neighbour import ACTION

class Full:
    takes_batches = True
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return np.broadcast_to(ACTION, (*np.shape(observation)[:-1], {MODELS})), state

class ForMarket(Full):
    def __init__(self, market):
        assert market.scenario.name == "small"

class Short:
    def predict(self, observation):
        assert observation.ndim == 1
        return ACTION, None

def function(observation):
    return ACTION

instance = Full()
"""


def action_of(observation: np.ndarray) -> np.ndarray:
    """A policy of one observation that looks at it."""
    return np.clip(RISING + 0.2 * np.asarray(observation)[..., :1], -1.0, 1.0)


class Whole:
    """SB3's predict for one observation or a batch."""

    takes_batches = True

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        return action_of(observation), state


class Counting:
    """A recurrent policy: its state counts the periods of a day, in every lane."""

    def __init__(self, takes_batches: bool) -> None:
        self.takes_batches = takes_batches

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        assert np.ndim(observation) == (2 if self.takes_batches else 1)
        assert (state is None) == bool(np.all(episode_start))
        count = np.zeros(len(episode_start)) if state is None else np.where(episode_start, 0.0, state[0])
        action = np.clip(RISING + 0.2 * count[:, None], -1.0, 1.0)
        return (action if self.takes_batches else action[0]), (count + 1.0,)


class Remembering:
    """A policy that counts the periods itself, starting anew where a day starts."""

    count = 0

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        self.count = 0 if episode_start[0] else self.count + 1
        return np.clip(RISING + 0.2 * self.count, -1.0, 1.0), state


class ByPrice(PricingSeller):
    def prices(self, state: Any) -> Any:
        return np.full(MODELS, 12.0)


def earned(policy: Any, **options: Any) -> np.ndarray:
    """The hourly profit of a single policy."""
    found = quick({"it": policy}, **options)
    return found.days["it"].profit


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "neighbour.py").write_text(f"ACTION = {RISING.tolist()}\n")
    (tmp_path / "my_policies.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_policies", raising=False)
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    return tmp_path / "my_policies.py"


def test_functions_of_one_observation_and_of_batches_and_objects_earn_the_same() -> None:
    expected = earned(Whole())
    for policy in (action_of, batched(action_of), Whole, lambda seen: action_of(seen).tolist()):
        np.testing.assert_allclose(earned(policy), expected, rtol=1e-9)


def test_state_and_episode_start_reach_recurrent_policies() -> None:
    expected = earned(Counting(True))
    assert not np.allclose(expected, earned(lambda _: RISING))
    np.testing.assert_allclose(earned(Counting(False)), expected, rtol=1e-9)
    np.testing.assert_allclose(earned(Remembering()), expected, rtol=1e-9)


def test_sellers_classes_and_partials_are_made_for_the_market() -> None:
    expected = earned(ByPrice(MARKET))
    np.testing.assert_array_equal(earned(ByPrice), expected)
    np.testing.assert_allclose(earned(functools.partial(FixedPrice, prices=[12.0] * MODELS)), expected, rtol=1e-9)
    np.testing.assert_allclose(earned(lambda _: action_from_prices(MARKET, [12.0] * MODELS)), expected, rtol=1e-4)
    assert list(quick(IMP).days) == ["imp"]


@pytest.mark.parametrize("name", ["Full", "ForMarket", "Short", "function", "instance"])
@pytest.mark.parametrize("source", ["my_policies", "my_policies.py", "{folder}/my_policies.py"])
def test_code_by_module_and_by_file(name: str, source: str, code: Path) -> None:
    found = quick(f"{source.format(folder=code.parent)}:{name}")
    assert list(found.days) == ["imp", name]
    np.testing.assert_allclose(found.days[name].profit, earned(lambda _: RISING), rtol=1e-9)


def test_shipped_policies_and_folders(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "mine", load_policy("day-guided"))
    found = evaluate(["day-guided", folder, "random"], days=1, sell_anchors=False, progress=False)
    assert list(found.days) == ["imp", "day-guided", "mine", "random"]
    np.testing.assert_array_equal(found.days["mine"].profit, found.days["day-guided"].profit)


def test_objects_of_a_list_that_have_one_name_are_numbered() -> None:
    assert list(quick([Whole(), Whole(), action_of]).days) == ["imp", "Whole", "Whole-2", "action_of"]
    with pytest.raises(ValueError, match="has the same name as another, 'imp'"):
        quick({"imp": Whole()})
    with pytest.raises(ValueError, match=r"name 3 of a seller must be a text"):
        quick({3: Whole()})


@pytest.mark.heavy
def test_the_numbers_are_those_of_compare(code: Path, tmp_path: Path) -> None:
    SMALL.to_yaml(tmp_path / "small.yaml")
    sellers = ["random", "my_policies.py:Short", "cost-plus"]
    command = ["compare", "small.yaml", "--days", "3", "--sellers", *sellers, "--out", "compared"]
    assert main(command) == 0
    folder = evaluate(sellers, "small.yaml", days=3, sell_anchors=False, progress=False).save(tmp_path / "evaluated")
    files = {path.name for path in folder.iterdir()}
    assert files == {path.name for path in (tmp_path / "compared").iterdir()}
    assert not [name for name in files if name.startswith(".")]
    for name in ("days.csv", "hours.csv", "models.csv", "choices.json", "scenario.yaml", "figure.png"):
        assert (folder / name).read_bytes() == (tmp_path / "compared" / name).read_bytes()
    texts = [(it / "table.csv").read_text() for it in (folder, tmp_path / "compared")]
    tables = [list(csv.DictReader(text.splitlines())) for text in texts]
    for ours, theirs in zip(*tables, strict=True):
        assert {**ours, "milliseconds_per_decision": ""} == {**theirs, "milliseconds_per_decision": ""}


def test_the_other_commands_take_the_same_forms(code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SMALL.to_yaml(tmp_path / "small.yaml")
    assert main(["watch", "small.yaml", "--sellers", "my_policies:Short", f"{code}:Full"]) == 0
    assert "Short" in capsys.readouterr().out
    (tmp_path / "run").mkdir()
    arguments = ["--sellers", "my_policies:function", "--days", "2", "--out", "scored"]
    assert main(["evaluate", "small.yaml", *arguments]) == 0
    assert "function" in capsys.readouterr().out


def test_evaluations_are_deterministic() -> None:
    one, other = (quick(["random", action_of], anchors=("random", "imp"), sell_anchors=True) for _ in range(2))
    for name in one.days:
        np.testing.assert_array_equal(one.days[name].profit, other.days[name].profit)
    for ours, theirs in zip(one.rows, other.rows, strict=True):
        assert ours._replace(milliseconds_per_decision=0.0) == theirs._replace(milliseconds_per_decision=0.0)


def test_customers_that_change_daily_are_met_by_every_form() -> None:
    market = Market(Scenario(name="small", customers=4, periods=3, resample_population="episode"))
    found = evaluate([action_of, batched(action_of), IMP], market, days=2, sell_anchors=False, progress=False)
    assert list(found.days) == ["imp", "action_of", "action_of-2"]
    np.testing.assert_allclose(found.days["action_of"].profit, found.days["action_of-2"].profit, rtol=1e-9)


def broken(period: int, action: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], Any]:
    """A policy that does wrong from a period on, on the second day only."""
    seen = [0]

    def policy(observation: np.ndarray) -> Any:
        seen[0] += 1
        return action(RISING.copy()) if seen[0] > SMALL.periods + period else RISING

    return policy


def with_nan(action: np.ndarray) -> np.ndarray:
    action[1] = np.nan
    return action


def raising(action: np.ndarray) -> np.ndarray:
    raise ZeroDivisionError("no demand")


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (with_nan, r"action\[1\] = nan \(model '.+'\) must be a finite number in \[-1, 1\]"),
        (lambda action: 3.0 * action, r"action\[0\] = -1\.5 \(model '.+'\) must be a finite number in \[-1, 1\]"),
        (lambda action: action[:-1], r"action has shape \(3,\), it must be \(4,\), one number in \[-1, 1\] per model"),
        (lambda action: None, r"action of type NoneType must be an array of numbers|action has shape \(\)"),
        (lambda action: "high", r"action of type str must be an array of numbers"),
        (raising, r"predict raised ZeroDivisionError: no demand \(.*test_evaluate_policies\.py, line \d+\)"),
    ],
)
def test_a_fault_is_named_by_seller_day_and_hour_before_anything_is_written(
    action: Any, message: str, tmp_path: Path
) -> None:
    where = rf"^seller 'mine', day {held_out_seeds(2)[1]}, hour 1: "
    with pytest.raises(ValueError, match=where + f"({message})"):
        quick({"mine": broken(1, action)}, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_lane_at_fault_is_named() -> None:
    def policy(observation: np.ndarray) -> np.ndarray:
        action = np.tile(RISING, (len(observation), 1))
        action[2, 3] = 1.5
        return action

    with pytest.raises(ValueError, match=rf"seller 'policy', day {held_out_seeds(3)[2]}, hour 0: action\[3\] = 1\.5"):
        quick(batched(policy))
    with pytest.raises(ValueError, match=r"'policy', days 900000000 to 900000002, hour 0: action has shape \(2,"):
        quick({"policy": batched(lambda _: RISING[:2])})
    with pytest.raises(ValueError, match="predict returned ndarray, it must return a tuple"):
        quick(types.SimpleNamespace(predict=lambda observation: RISING))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("ipm", "seller 'ipm' is unknown, did you mean 'imp'"),
        ("no_such_module:Policy", "'no_such_module' cannot be imported: ModuleNotFoundError"),
        ("no_such_file.py:Policy", "there is no file 'no_such_file.py'"),
        ("my_policies:Ful", "'my_policies' has no 'Ful', did you mean 'Full'"),
        ("wrong.py:policy", "'wrong.py' cannot be imported: SyntaxError"),
        ("public-guided", "sees 16 numbers"),
        (3, "policy = 3 must have predict"),
        (
            functools.partial(FixedPrice, price=1.0),
            "cannot be made: TypeError: FixedPrice.__init__() got an unexpected",
        ),
        (types.SimpleNamespace(predict=print, observation_space=np.zeros(7)), "has observations of shape"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_first(policy: Any, message: str, code: Path) -> None:
    (code.parent / "wrong.py").write_text("policy = (\n")
    with pytest.raises(ValueError, match=re.escape(message)):
        quick(policy, out="out")
    assert not Path("out").exists()


class Trap:
    """Pickles to a call that would leave a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_an_untrusted_zip_is_refused_without_unpickling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import base64

    trap = base64.b64encode(pickle.dumps(Trap(tmp_path / "sprung"))).decode()
    data = {"policy_class": {"__module__": "x", ":type:": "x", ":serialized:": trap}, "clip_range": 0.2}
    with zipfile.ZipFile(tmp_path / "ppo.zip", "w") as archive:
        archive.writestr("data", json.dumps(data))
    with pytest.raises(ValueError, match="can run code that it holds: if you trust its origin, pass trusted=True"):
        quick(tmp_path / "ppo.zip")
    assert main(["compare", "static", "--sellers", str(tmp_path / "ppo.zip")]) == 2
    assert "--trust" in capsys.readouterr().err
    assert algorithm(tmp_path / "ppo.zip") == ("stable_baselines3", "PPO")
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_no_zips_of_sb3_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.zip").touch()
    (tmp_path / "run" / "policy.json").write_bytes((SHIPPED / "day-guided" / "policy.json").read_bytes())
    for path, message in (
        ("text.zip", "is no zip of Stable-Baselines3"),
        ("none.zip", "is no zip of Stable-Baselines3"),
        ("run/model.zip", "is part of a policy folder"),
    ):
        with pytest.raises(ValueError, match=message):
            quick(tmp_path / path, trusted=True)


@pytest.mark.parametrize("name", ["PPO", "A2C", "SAC", "TD3", "TQC", "TRPO", "CrossQ", "RecurrentPPO"])
def test_models_and_zips_of_sb3(name: str, tmp_path: Path) -> None:
    import sb3_contrib
    import stable_baselines3
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from lmaas_env.env import LMaaSEnv

    made: Any = getattr(stable_baselines3, name, None) or getattr(sb3_contrib, name)
    small = {"buffer_size": 10} if name in ("SAC", "TD3", "TQC", "CrossQ") else {}
    policy = "MlpLstmPolicy" if name == "RecurrentPPO" else "MlpPolicy"
    model = made(policy, DummyVecEnv([lambda: LMaaSEnv(SMALL)]), seed=1, device="cpu", **small)
    model.save(tmp_path / "model.zip")
    found = quick([model, tmp_path / "model.zip"], trusted=True)
    assert list(found.days) == ["imp", name, "model"]
    np.testing.assert_array_equal(found.days["model"].profit, found.days[name].profit)

    def alone(observation: np.ndarray) -> Any:
        return model.predict(observation, deterministic=True)[0]

    if name != "RecurrentPPO":
        np.testing.assert_allclose(earned(alone), found.days[name].profit, rtol=1e-4)
    normaliser = VecNormalize(model.get_env())
    normaliser.obs_rms.mean += 0.5
    normaliser.save(str(tmp_path / "vecnormalize.pkl"))
    normalised = earned(tmp_path / "model.zip", trusted=True)
    assert not np.allclose(normalised, found.days[name].profit, rtol=1e-9)
    model.set_env(normaliser)
    np.testing.assert_array_equal(earned(model), normalised)
    with pytest.raises(ValueError, match=r"has observations of shape \(18,\); this market .* has \(75,\)"):
        evaluate(model, "day", days=1)


@pytest.fixture(scope="module")
def result() -> Evaluation:
    return quick({"mine": action_of}, days=5, anchors=("random", "imp"), sell_anchors=True)


def test_the_result_prints_as_a_table(result: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in repr(result)
    lines = repr(result).splitlines()
    assert lines[0] == "small: seller's profit in $ per day, 5 held-out days [95 % interval]"
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:-2]] == [row.seller for row in result.rows]
    assert "score: random 0, IMP 1" in " ".join(lines)
    many = quick(action_of, days=60)
    assert len(repr(many).splitlines()) < 10


def test_rows_hold_paired_differences_and_scores(result: Evaluation) -> None:
    profit = {name: days.day_profit for name, days in result.days.items()}
    row = result["mine"]
    assert row.difference == mean_estimate(profit["mine"] - profit["imp"])
    assert row.score == normalised_score(profit["mine"], profit["random"], profit["imp"])
    share = (profit["mine"] - profit["random"]).sum() / (profit["imp"] - profit["random"]).sum()
    assert row.score.mean == pytest.approx(share)
    assert row.score.low < share < row.score.high
    assert (result["random"].score.mean, result["imp"].score.mean) == (0.0, 1.0)
    assert row.milliseconds_per_decision > 0.0
    with pytest.raises(ValueError, match="seller 'nobody' is not in this evaluation"):
        result["nobody"]


def test_a_score_needs_anchors_that_differ_clearly() -> None:
    rng = np.random.default_rng(0)
    low = rng.normal(10.0, 1.0, 20)
    assert normalised_score(low + 1.0, low, low + 2.0) == pytest.approx((0.5, 0.5, 0.5))
    assert np.isnan(normalised_score(low + 1.0, low, low)).all()
    assert normalised_score(low, low, 1.021 * low).mean == 0.0
    assert np.isnan(normalised_score(low, low, 1.019 * low)).all()
    assert np.isnan(normalised_score(low + 1.0, low, low + rng.normal(0.0, 1.0, 20) - 0.2)).all()
    one = normalised_score(np.array([3.0]), np.array([1.0]), np.array([5.0]))
    assert one.mean == 0.5
    assert np.isnan(one.low)


def test_another_reference_is_sold_and_named() -> None:
    found = quick({"mine": action_of}, reference="random")
    assert list(found.days) == ["imp", "random", "mine"]
    assert "minus random" in repr(found)
    assert "minus random" in found.to_markdown()
    difference = found.days["mine"].day_profit - found.days["random"].day_profit
    assert found["mine"].difference == mean_estimate(difference)


def test_markdown_has_a_row_for_every_seller(result: Evaluation) -> None:
    head, rule, *rows = result.to_markdown().splitlines()
    assert head == "| seller | profit, $ a day | minus IMP | / IMP | score | customers | ms |"
    assert rule.count("|") == head.count("|")
    assert [row.split("`")[1] for row in rows] == [row.seller for row in result.rows]


def test_dataframes_come_from_pandas_if_it_is_there(result: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match="pandas is not installed: pip install pandas"):
        result.to_dataframe()
    pandas: Any = types.ModuleType("pandas")
    pandas.__spec__ = importlib.machinery.ModuleSpec("pandas", None)
    pandas.DataFrame = lambda rows, columns: (rows, columns)
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    rows, columns = result.to_dataframe()
    assert columns == list(TABLE)
    assert [len(row) for row in rows] == [len(TABLE)] * len(result.rows)
    rows, columns = result.to_dataframe("day")
    assert columns == list(DAYS)
    assert len(rows) == 5 * len(result.days)


def test_a_saved_result_loads_and_has_a_report(
    result: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    report = result.report(tmp_path / "saved", show=True)
    assert opened == [report.as_uri()]
    assert report.read_text(encoding="utf-8").startswith("<!")
    loaded = Evaluation.load(tmp_path / "saved", anchors=("random", "imp"))
    assert repr(loaded) == repr(result)
    assert loaded.rows == result.rows
    for name, days in result.days.items():
        for ours, theirs in zip(days, loaded.days[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="exists already"):
        result.save(tmp_path / "saved")
    (tmp_path / "saved" / "days.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"days\.npz' cannot be read"):
        Evaluation.load(tmp_path / "saved")


def test_importing_evaluate_loads_neither_torch_nor_figures() -> None:
    heavy = "('torch', 'stable_baselines3', 'matplotlib', 'plotly', 'rich', 'tyro', 'pandas')"
    code = f"import sys; from lmaas_train import evaluate; print([it for it in {heavy} if it in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(ImportError):
        from lmaas_train import evaluat  # noqa: F401  # pyright: ignore[reportAttributeAccessIssue]


def test_a_trusted_zip_sells_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from stable_baselines3 import PPO

    from lmaas_env.env import LMaaSEnv

    path = tmp_path / "small.yaml"
    SMALL.to_yaml(path)
    PPO("MlpPolicy", LMaaSEnv(SMALL), device="cpu").save(tmp_path / "mine.zip")
    arguments = [str(path), "--sellers", str(tmp_path / "mine.zip"), "--trust"]
    for command in (["compare", *arguments, "--days", "1", "--out", str(tmp_path / "out")], ["watch", *arguments]):
        assert main(command) == 0
        assert "mine" in capsys.readouterr().out


def test_the_anchors_fit_the_observation() -> None:
    days, more = held_out_seeds(40), held_out_seeds(41)
    assert default_anchors(Market("day"), days) == default_anchors(Market("public"), days) == ("imp", "bound")
    assert default_anchors(Market("day"), more) == default_anchors(Market("day", seed=1), days) == ("imp", "lookahead")
    assert default_anchors(Market("public"), more) == ("imp", "public-lookahead")


def test_bounds_that_ship_are_those_of_the_benchmarks() -> None:
    seeds = held_out_seeds(40)
    for name in ("day", "scarce", "abundant"):
        with (ROOT / "benchmarks" / "bound" / name / "days.csv").open(encoding="utf-8", newline="") as file:
            committed = [float(row["bound"]) for row in csv.DictReader(file)]
        assert certified_bounds(Market(name), seeds).tolist() == committed  # type: ignore[union-attr]
    assert certified_bounds(Market("static"), seeds) is None
    changed = dataclasses.replace(Scenario.preset("day"), harvest=0.05)
    assert certified_bounds(Market(changed), seeds) is None


def test_the_certified_bound_scores_one_and_needs_no_seller() -> None:
    found = evaluate("random", "day", days=2, sell_anchors=False, progress=False)
    bounds = certified_bounds(Market("day"), held_out_seeds(2))
    assert bounds is not None
    random, imp = (found.days[name].day_profit for name in ("random", "imp"))
    assert set(found.days) == {"imp", "random"}
    assert found["random"].score.mean == pytest.approx((random - imp).mean() / (bounds - imp).mean())
    with pytest.raises(ValueError, match="no certified bound is known for this market and 41 held-out days"):
        evaluate("random", "day", days=41, anchors=("imp", "bound"), progress=False)


def test_a_seller_given_by_name_and_by_class_is_one() -> None:
    assert list(sellers_of([IMP, "imp"], MARKET, beside=["imp"])) == ["imp"]


def test_what_a_policy_is_changes_with_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "own_module.py"
    module.write_text("class Policy: ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    first = identity("own_module:Policy", object())
    module.write_text("class Policy: pass\n", encoding="utf-8")
    assert first is not None
    assert identity("own_module:Policy", object()) != first
    assert identity("builtins:len", object()) is None
    assert identity("__main__:Policy", object()) is None
