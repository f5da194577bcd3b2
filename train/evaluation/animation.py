"""Animated pictures: a sequence of frames as a GIF or WebP file."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FORMATS = {".gif": "GIF", ".webp": "WebP"}
SLOWEST, FASTEST = 0.1, 50.0  # frames per second; GIF stores hundredths of a second
LAST_PICTURE = 3.0  # s that the last frame stays


def animation(pictures: Sequence[NDArray[np.uint8]], suffix: str, fps: float) -> bytes:
    """Return pictures (H, W, 3) as an animation that repeats; its last picture stays longer.

    Parameters
    ----------
    pictures : sequence of arrays
    suffix : str
        A key of `FORMATS`.
    fps : float
        Pictures per second, `SLOWEST` to `FASTEST`.
    """
    from PIL import Image  # comes with matplotlib

    images = [Image.fromarray(picture) for picture in pictures]
    if suffix == ".gif":  # one palette for all, so that equal areas are stored once
        palette = Image.fromarray(np.concatenate(pictures[::-6])).quantize(128, dither=Image.Dither.NONE)
        colours = np.reshape(palette.getpalette() or [], (-1, 3))
        colours[(colours >= 248).all(axis=1)] = 255  # the background stays white
        palette.putpalette(colours.astype(np.uint8).tobytes())
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    milliseconds = [round(1e3 / fps)] * (len(images) - 1) + [round(1e3 * LAST_PICTURE)]
    written = io.BytesIO()
    images[0].save(
        written,
        FORMATS[suffix],
        save_all=True,
        append_images=images[1:],
        duration=milliseconds,
        loop=0,
        **({"quality": 80, "minimize_size": True} if suffix == ".webp" else {}),
    )
    return written.getvalue()
