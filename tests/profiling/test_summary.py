"""Summaries of traces."""

from seqvision.profiling.summary import Profile
from seqvision.profiling.throughput import Throughput


def test_a_trace_that_names_nothing_is_one_line() -> None:
    profile = Profile(1, 2, 4, 1.0, 0.5, Throughput(8.0, 1e6), [], {})
    assert "could not be summed up" in list(profile.lines(5))[-1]
