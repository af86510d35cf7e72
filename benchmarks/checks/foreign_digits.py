"""Lines of digits that no run was trained on, drawn as scans: dark ink on paper."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from benchmarks.accuracy.mnist_files import read_split
from seqvision.errors import UserError

# Pixels of the scan for one row of a line of 32, whose digits are 20 high.
_SCALE = 4
_INK = 20 * _SCALE
_GAP, _WORD_GAP, _MARGIN = (2, 5), (10, 18), (2, 6)
_PAPER, _BLACK, _GRAIN = 226.0, 48.0, 3.0


@dataclasses.dataclass(frozen=True)
class Condition:
    """How a line lies on its paper. Margins are parts of the height of its ink.

    Attributes:
      margins: paper above and below; None is close to the ink, on all sides.
      side: more paper before and after the line.
      tilt: degrees, to either side.
      rule: rows of a ruled line at the baseline; 0 is none.
      pen: width of the strokes, in pixels of the scan; 0 is that of the digits. Others are drawn
        along their middle: what ink had filled (a loop, say) is then lost.
    """

    margins: tuple[float, float] | None = (0.3, 0.3)
    side: float = 0.0
    tilt: float = 0.0
    rule: int = 0
    pen: float = 0.0


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "usual layout": Condition(),
        "wide margins": Condition(margins=(0.8, 2.0), side=1.0),
        "tightly cropped": Condition(margins=None),
        "tilted by 3 degrees": Condition(tilt=3.0),
        "ruled line": Condition(rule=3),
        "thin pen": Condition(pen=1.5),
        # As legible as those of the thin pen: what was lost with the digits' own strokes.
        "drawn with a usual pen": Condition(pen=10.0),
    }
)


def mnist_digits() -> tuple[np.ndarray, np.ndarray]:
    """The test digits of MNIST (N, 28, 28) in [0, 1], and which they are."""
    return read_split("test")


def uci_digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits of 43 people at 8x8 pixels that come with scikit-learn (N, 8, 8) in [0, 1].

    Raises:
      UserError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UserError(
            "--digits: 'uci' needs scikit-learn (pip install -e '.[bench]'); or choose mnist"
        ) from None
    digits = load_digits()
    return digits.images / 16, digits.target


DIGITS: Mapping[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = MappingProxyType(
    {"mnist": mnist_digits, "uci": uci_digits}
)


def draw_line(
    images: np.ndarray, labels: np.ndarray, condition: Condition, rng: np.random.Generator
) -> tuple[np.ndarray, str]:
    """A line of 1 to 20 digits as (height, width) uint8, and its text."""
    parts: list[np.ndarray] = []
    text = ""
    for place in range(int(rng.integers(1, 21))):
        if place:
            is_space = rng.random() < 0.2
            text += " " * is_space
            gap = _WORD_GAP if is_space else _GAP
            parts.append(_empty(int(rng.integers(*gap, endpoint=True))))
        number = int(rng.integers(len(labels)))
        parts.append(_enlarged(images[number], condition.pen))
        text += str(labels[number])
    return _scanned(np.concatenate(parts, axis=1), condition, rng), text


def _empty(columns: int) -> np.ndarray:
    return np.zeros((_INK, columns * _SCALE), bool)


def _enlarged(digit: np.ndarray, pen: float) -> np.ndarray:
    """The strokes of a digit, as high as all digits of a line, (80, n) bool."""
    rows, columns = (np.flatnonzero((digit > 0.25).any(axis=axis)) for axis in (1, 0))
    small = np.pad(digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
    # As wide as high at most, as in MNIST, whose longer side has 20 pixels.
    scale = _INK / max(small.shape[0] - 2, small.shape[1] - 2)
    strokes = ndimage.zoom(small, scale, order=3, mode="grid-constant", grid_mode=True) > 0.5
    if pen:
        strokes = ndimage.distance_transform_edt(~skeleton(strokes)) <= pen / 2
    rows, columns = (np.flatnonzero(strokes.any(axis=axis)) for axis in (1, 0))
    strokes = strokes[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][-_INK:]
    return np.pad(strokes, ((_INK - len(strokes), 0), (0, 0)))


def skeleton(strokes: np.ndarray) -> np.ndarray:
    """Strokes one pixel wide, by Zhang and Suen (1984)."""
    strokes = np.pad(strokes, 1)
    while True:
        before = strokes.copy()
        for first in (True, False):
            # The eight neighbours, clockwise from above.
            around = np.stack(
                [
                    np.roll(strokes, (down, right), (0, 1))
                    for down, right in (
                        (1, 0),
                        (1, -1),
                        (0, -1),
                        (-1, -1),
                        (-1, 0),
                        (-1, 1),
                        (0, 1),
                        (1, 1),
                    )
                ]
            )
            count = around.sum(axis=0)
            begins = (~around & np.roll(around, -1, axis=0)).sum(axis=0)
            up, right, down, left = around[0], around[2], around[4], around[6]
            keeps = (right & down & (up | left)) if first else (up & left & (right | down))
            strokes = strokes & ~((count >= 2) & (count <= 6) & (begins == 1) & ~keeps)
        if (strokes == before).all():
            return strokes[1:-1, 1:-1]


def _scanned(ink: np.ndarray, condition: Condition, rng: np.random.Generator) -> np.ndarray:
    """Ink on its paper, as a scanner sees it."""
    if condition.margins is None:
        above = below = left = right = 2
    else:
        above, below = (round(_INK * rng.uniform(*condition.margins)) for _ in range(2))
        left, right = (
            round(_SCALE * rng.integers(*_MARGIN, endpoint=True) + _INK * condition.side)
            for _ in range(2)
        )
    page = np.pad(ink, ((above, below), (left, right))).astype(np.float64)
    if condition.tilt:
        page = ndimage.rotate(page, condition.tilt * rng.choice((-1, 1)), order=1)
    if condition.rule:
        top = above + _INK - 1
        page[top : top + condition.rule] = np.maximum(page[top : top + condition.rule], 0.7)
    page = _PAPER + (_BLACK - _PAPER) * ndimage.gaussian_filter(page, 0.7)
    page += rng.normal(0, _GRAIN, page.shape)
    return page.clip(0, 255).round().astype(np.uint8)
