"""Products of the host: those of numpy, and by one thread."""

import time

import numpy as np
import pytest

from seqvision.models.host import product as module
from seqvision.models.host.product import product


def matrices(rows: int, size: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    arrays = (rng.normal(size=shape) for shape in ((rows, size), (size, width)))
    inputs, kernel = (array.astype(np.float32) for array in arrays)
    return inputs, kernel


@pytest.mark.parametrize(
    ("rows", "size", "width"),
    [(0, 3, 4), (1, 1, 1), (7, 30, 20), (64, 5, 7), (13, 300, 9), (1, 900, 11), (9, 2000, 2)],
)
def test_it_is_the_product(
    rows: int, size: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of rows, of the kernel's rows, of both, and what is left over of them."""
    inputs, kernel = matrices(rows, size, width)
    expected = inputs.astype(np.float64) @ kernel
    for most in (1 << 18, 500, 1):
        monkeypatch.setattr(module, "_MOST", most)
        found = product(inputs, kernel)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-6 * size)
    three = product(np.stack([inputs, 2 * inputs]), kernel)
    np.testing.assert_allclose(three, [expected, 2 * expected], atol=2e-6 * size)


@pytest.mark.parametrize(
    ("rows", "size", "width"), [(64, 256, 1024), (1, 512, 2048), (8, 3136, 512), (6272, 288, 64)]
)
def test_no_other_thread_works(rows: int, size: int, width: int) -> None:
    """Where numpy wakes threads, theirs is as much work as that of the thread that asks."""
    inputs, kernel = matrices(rows, size, width)
    product(inputs, kernel)
    all_before, own_before = time.process_time(), time.thread_time()
    while time.thread_time() - own_before < 0.1:
        product(inputs, kernel)
    own = time.thread_time() - own_before
    assert time.process_time() - all_before - own < 0.2 * own
