"""The window: its pace, its events, and `human` rendering, on SDL's driver without a screen."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from lmaas_env.env import LMaaSEnv
from lmaas_env.render.window import Window

pygame = pytest.importorskip("pygame")
pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the window slept, on a clock that only sleeping moves."""
    slept: list[float] = []
    monkeypatch.setattr("lmaas_env.render.window.time.monotonic", lambda: 100.0 + sum(slept))
    monkeypatch.setattr("lmaas_env.render.window.time.sleep", slept.append)
    return slept


def picture(value: int) -> np.ndarray:
    """A picture that is no square and whose channels differ."""
    drawn = np.zeros((20, 30, 3), np.uint8)
    drawn[5, 7] = value, 2, 3
    return drawn


def human(**arguments: Any) -> LMaaSEnv:
    return LMaaSEnv("static", render_mode="human", **arguments)


def press(kind: int, **attributes: Any) -> None:
    pygame.event.post(pygame.event.Event(kind, **attributes))


def test_shows_pixels_where_they_belong_under_its_title() -> None:
    window = Window("a market", fps=50.0)
    window.show(picture(200))
    surface = pygame.display.get_surface()
    assert surface.get_size() == (30, 20)
    assert surface.get_at((7, 5))[:3] == (200, 2, 3)
    assert pygame.display.get_caption()[0] == "a market"
    window.close()
    assert pygame.display.get_surface() is None


def test_every_picture_has_its_time(naps: list[float]) -> None:
    window = Window("", fps=4.0)
    window.show(picture(1))
    assert not naps
    for shown in (1, 2):
        window.show(picture(1))
        assert sum(naps) == pytest.approx(0.25 * shown)
    assert max(naps) < 0.1  # so that the window answers meanwhile


@pytest.mark.parametrize("event", ["cross", "escape", "q"])
def test_the_user_closes_it(event: str, naps: list[float]) -> None:
    window = Window("", fps=2.0)
    window.show(picture(1))
    if event == "cross":
        press(pygame.QUIT)
    else:
        press(pygame.KEYDOWN, key={"escape": pygame.K_ESCAPE, "q": pygame.K_q}[event])
    window.wait(until_closed=True)
    assert window.is_closed
    window.show(picture(2))
    assert pygame.display.get_surface() is None
    assert not naps


def test_other_keys_do_not_close_it() -> None:
    window = Window("", fps=50.0)
    window.show(picture(1))
    press(pygame.KEYDOWN, key=pygame.K_a)
    window.show(picture(2))
    assert not window.is_closed


def test_a_window_closed_long_ago_does_not_close_a_new_one() -> None:
    old, new = Window("old", fps=50.0), Window("new", fps=50.0)
    old.close()
    new.show(picture(1))
    old.close()
    assert pygame.display.get_surface() is not None


def test_a_machine_without_a_display_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setattr(pygame.display, "get_driver", lambda: "offscreen")
    monkeypatch.setattr(pygame.display, "init", lambda: None)
    with pytest.raises(gym.error.Error, match="there is no display"):
        Window("", fps=2.0)


def test_a_display_that_fails_gives_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    with pytest.raises(gym.error.Error, match="no window can be opened here: "):
        Window("", fps=2.0)


def test_without_pygame_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(gym.error.DependencyNotInstalled, match=r'pip install "lmaas\[view\]"'):
        human().reset(seed=0)


def test_human_shows_by_itself_what_rgb_array_returns(naps: list[float]) -> None:
    env, still = human(), LMaaSEnv("static", render_mode="rgb_array")
    env.reset(seed=0)
    still.reset(seed=0)
    for _ in range(2):
        assert env.render() is None
        shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        np.testing.assert_array_equal(shown, still.render())
        if env.settlement is None:
            env.step(np.zeros(4))
            still.step(np.zeros(4))
    assert sum(naps) == pytest.approx(1.0 / env.metadata["render_fps"])
    env.close()
    assert sum(naps) == pytest.approx(2.0 / env.metadata["render_fps"])  # the last picture has its time, too
    assert pygame.display.get_surface() is None
    env.close()
    env.reset(seed=1)
    assert pygame.display.get_surface() is not None


def test_the_day_goes_on_when_the_user_has_closed_the_window() -> None:
    env, unseen = human(), LMaaSEnv("static")
    env.reset(seed=0)
    unseen.reset(seed=0)
    press(pygame.QUIT)
    assert env.step(np.zeros(4))[1] == unseen.step(np.zeros(4))[1]
    assert pygame.display.get_surface() is None
    env.reset(seed=1)
    assert pygame.display.get_surface() is None
    env.close()


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("is_open", [False, True])
def test_environments_that_show_can_be_copied_and_pickled(is_open: bool) -> None:
    env = human()
    if is_open:
        env.reset(seed=0)
    for twin in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        twin.reset(seed=0)
        assert twin.step(np.zeros(4))[2]
        twin.close()
