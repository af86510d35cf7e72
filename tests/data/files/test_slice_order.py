"""Order of slices, without any file: places and what is wrong with them."""

import numpy as np
import pytest

from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.slice_order import Place, order_of_slices

SPACING = (0.5, 0.5)


def tilted(rng: np.random.Generator) -> np.ndarray:
    """Rows, columns and normal of a plane at any angle."""
    basis, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    basis[:, 2] = np.cross(basis[:, 0], basis[:, 1])
    return basis.T


def test_any_plane_and_any_order(rng: np.random.Generator) -> None:
    """Each slice lies `step` further along the normal, and anywhere else in its plane."""
    for _ in range(30):
        row, column, normal = tilted(rng)
        count, step = int(rng.integers(2, 9)), rng.uniform(0.3, 7)
        orientation = tuple(np.concatenate([row, column]).round(6).tolist())
        places = [
            Place(tuple((rng.normal() * row + n * step * normal).tolist()), orientation, SPACING, 9)
            for n in range(count)
        ]
        mixed = rng.permutation(count).tolist()
        order = order_of_slices([places[n] for n in mixed], [str(n) for n in mixed])
        assert [mixed[n] for n in order] == list(range(count))


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((1, 1, 1, 1), ""),
        ((1, 1.02, 0.99, 1), ""),
        ((2, 2, 4, 2), "b2 and b3 lie 4 mm apart, and others 2 mm"),
        ((2, 2, 0, 2), "two slices at one place, b2 and b3"),
    ],
)
def test_gaps(steps: tuple[float, ...], words: str) -> None:
    along = [0.0, *np.cumsum(steps).tolist()]
    places = [Place((0.0, 0.0, z), (1, 0, 0, 0, 1, 0), SPACING, None) for z in along]
    names = [f"b{number}" for number in range(len(along))]
    if not words:
        assert order_of_slices(places, names) == [0, 1, 2, 3, 4]
        return
    with pytest.raises(UnreadableImageError, match=words):
        order_of_slices(places, names)


def test_numbers_where_there_are_no_places() -> None:
    places = [Place(None, None, None, number) for number in (3, 1, 2)]
    assert order_of_slices(places, ["a", "b", "c"]) == [1, 2, 0]
    assert order_of_slices([*places, Place(None, None, None, None)], list("abcd")) == [0, 1, 2, 3]
