"""Runs of operations read from a trace."""

from seqvision.profiling.trace import Span, covered_seconds


def test_time_under_several_spans_counts_once() -> None:
    spans = [Span("cpu:0", "a", *times) for times in ((1, 3), (2, 4), (0, 0.5), (1.5, 2))]
    assert covered_seconds(spans) == 3.5
    assert covered_seconds([]) == 0
