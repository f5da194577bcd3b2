"""A window that shows pictures at a steady pace.

pygame is imported with the first window. It has one window per process, which all open environments share.
"""

# pygame's stubs leave some arguments untyped
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pygame

_PAUSE = 0.02  # s between two polls of the user's events


class Window:
    """Show pictures, each for at least 1 / fps seconds; the window opens with the first one.

    The object holds no pygame state, so it can be copied and pickled. A copy uses the same window; in another process
    it opens a new one.

    Parameters
    ----------
    title : str
    fps : float
        Pictures per second, at most.

    Attributes
    ----------
    is_closed : bool, true after the user or `close` has closed it; `show` then does nothing

    Raises
    ------
    gymnasium.error.DependencyNotInstalled
        If pygame is missing.
    gymnasium.error.Error
        If there is no display.
    """

    def __init__(self, title: str, fps: float) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise gym.error.DependencyNotInstalled(
                'a window needs pygame: pip install ".[view]" in a clone, pip install "lmaas[view]" elsewhere'
            ) from error
        self.title, self.interval = title, 1.0 / fps
        self.is_closed = False
        self._due = 0.0  # when the next picture may be shown, s
        try:
            pygame.display.init()
        except pygame.error as error:
            raise gym.error.Error(f"no window can be opened here: {error}") from error
        if pygame.display.get_driver() == "offscreen" and "SDL_VIDEODRIVER" not in os.environ:
            pygame.display.quit()  # SDL's fallback, which is invisible and cannot be closed
            raise gym.error.Error("no window can be opened here: there is no display")

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3) after the previous one has had its time; do nothing in a closed window."""
        self.wait()
        if self.is_closed:
            return
        import pygame

        height, width = picture.shape[:2]
        pygame.display.init()
        surface = _surface()
        if surface is None or surface.get_size() != (width, height):
            surface = pygame.display.set_mode((width, height))
        pygame.display.set_caption(self.title)
        pygame.surfarray.blit_array(surface, picture.swapaxes(0, 1))
        pygame.display.flip()
        self._due = time.monotonic() + self.interval

    def wait(self, until_closed: bool = False) -> None:
        """Keep the window alive until the next picture is due, or until the user closes it (cross, Escape or q)."""
        import pygame

        while not self.is_closed and _surface() is not None:
            for event in pygame.event.get():
                if event.type == pygame.QUIT or (
                    event.type == pygame.KEYDOWN and event.key in (pygame.K_ESCAPE, pygame.K_q)
                ):
                    self.close()
                    return
            left = self._due - time.monotonic()
            if left <= 0.0 and not until_closed:
                return
            time.sleep(min(_PAUSE, left) if left > 0.0 else _PAUSE)

    def close(self) -> None:
        """Close the window once; a later call leaves the window of another environment open."""
        import pygame

        if not self.is_closed:
            self.is_closed = True
            pygame.display.quit()


def _surface() -> pygame.Surface | None:
    """Return the surface of the process's window, None if there is none (pygame's stubs omit None)."""
    import pygame

    return pygame.display.get_surface()
