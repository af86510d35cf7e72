"""Arrays that the devices of a CPU share with the host."""

import jax
import numpy as np
import pytest

from seqvision.runtime.mesh import create_mesh, replicated
from seqvision.runtime.transfer import shareable, to_devices


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(), (0, 3), (7, 5), (1000, 3, 3)])
def test_shareable_arrays_hold_the_same_values(dtype: type, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).astype(dtype).reshape(shape)
    np.testing.assert_array_equal(shareable(array), array, strict=True)


def test_shareable_array_of_a_view_that_is_not_contiguous() -> None:
    array = np.arange(60, dtype=np.int32).reshape(6, 10)[1::2, ::-3]
    np.testing.assert_array_equal(shareable(array), array, strict=True)


def test_every_device_of_a_cpu_reads_the_memory_of_the_host() -> None:
    array = shareable(np.arange(3001, dtype=np.uint8)[1:])
    assert shareable(array) is array
    placed = to_devices(array, replicated(create_mesh()))
    assert len(placed.addressable_shards) == jax.device_count() > 1
    addresses = {shard.data.unsafe_buffer_pointer() for shard in placed.addressable_shards}
    assert addresses == {array.ctypes.data}
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
