"""Uneven light on paper: a brightness that falls evenly from one side of a picture to another."""

import numpy as np
from PIL import Image

from seqvision.data.files.pixels import border

# Less is grain, or a shade that changes no prediction; pixels of the border as near are paper.
_LEAST_SPAN = 8
# Of the border, that has to be paper.
_LEAST_PAPER = 0.6
_ROUNDS = 5


def levelled(image: Image.Image) -> Image.Image:
    """A grey picture with its paper in even light; itself where its paper is even, or unclear.

    A plane is fitted to the border, time and again to what lies near it, so that ink at the border
    does not count. Light paper is divided by it, since light is reflected by paper and ink alike;
    from dark paper the excess is taken away.
    """
    pixels = np.asarray(image, np.uint8)
    left, right, top, bottom = map(_middle, (pixels[:, 0], pixels[:, -1], pixels[0], pixels[-1]))
    if abs(left - right) + abs(top - bottom) < _LEAST_SPAN:
        return image
    y = np.broadcast_to(np.linspace(-1, 1, image.height)[:, None], pixels.shape)
    x = np.broadcast_to(np.linspace(-1, 1, image.width), pixels.shape)
    edge = border(pixels[None])[0]
    most_common = np.bincount(edge).max()
    if most_common > len(edge) / 2:
        return image
    places = np.stack([np.ones(len(edge)), border(x[None])[0], border(y[None])[0]], axis=-1)
    near = np.ones(len(edge), bool)
    for _ in range(_ROUNDS):
        plane = np.linalg.lstsq(places[near], edge[near], rcond=None)[0]
        away = np.abs(edge - places @ plane)
        near = away <= max(3 * 1.4826 * float(np.median(away)), _LEAST_SPAN / 2)
    span = 2 * (abs(plane[1]) + abs(plane[2]))
    if span < _LEAST_SPAN or (away < _LEAST_SPAN).mean() < _LEAST_PAPER:
        return image
    paper = plane[0] + plane[1] * x + plane[2] * y
    if plane[0] > 127.5:
        values = pixels * (paper.max() / np.maximum(paper, 1))
    else:
        values = pixels - (paper - paper.min())
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def _middle(side: np.ndarray) -> int:
    """The median, faster than `np.median` of bytes."""
    return int(np.sort(side)[len(side) // 2])
