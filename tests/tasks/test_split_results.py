"""The results of a whole split: each batch once, in order, the next one computed meanwhile."""

from typing import Any

import jax
import numpy as np
import pytest

from seqvision.data.dataset import ArraySplit
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.split_results import split_results


def split_of(number: int) -> ArraySplit:
    images = np.zeros((number, 2, 2, 1), np.uint8)
    return ArraySplit(images, np.arange(number, dtype=np.int32))


class Step:
    """Doubles labels, and remembers how many batches it was given."""

    def __init__(self) -> None:
        self.begun = 0
        self._doubled = jax.jit(lambda labels, indices, factor: labels[indices] * factor)

    def __call__(self, params: Any, arrays: Any, indices: Any, mask: Any) -> Any:
        self.begun += 1
        return self._doubled(arrays["labels"], indices, params), mask


@pytest.mark.parametrize(("number", "sizes"), [(20, [8, 8, 4]), (16, [8, 8]), (3, [3])])
def test_each_example_comes_once_and_in_order(number: int, sizes: list[int]) -> None:
    found: list[int] = []
    counts = []
    results = split_results(Step(), np.int32(2), split_of(number), 8, create_mesh())
    for (doubled, mask), count in results:
        assert isinstance(doubled, np.ndarray)
        assert mask.tolist() == [place < count for place in range(len(mask))]
        found += doubled[:count].tolist()
        counts.append(count)
    assert found == [2 * label for label in range(number)]
    assert counts == sizes


def test_the_next_batch_is_begun_before_one_is_used_and_no_further() -> None:
    step = Step()
    results = split_results(step, np.int32(2), split_of(40), 8, create_mesh())
    assert [step.begun for _ in results] == [2, 3, 4, 5, 5]
