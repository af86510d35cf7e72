"""Refusals: what is said about a source that cannot be read."""

import tracemalloc
from pathlib import Path

import pytest

from seqvision.errors import UserError
from seqvision.weights.source import open_source

MOST_BYTES = 20e6


def refusal(path: Path) -> str:
    """The one line about a source, which must name it. Little may be allocated until then."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            for _ in open_source(path).arrays.items():
                pass
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert line.isprintable()
    assert line.startswith(str(path.parent))
    return line
