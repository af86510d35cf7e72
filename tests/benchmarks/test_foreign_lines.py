"""Lines of foreign digits, drawn as scans."""

import numpy as np
import pytest

from benchmarks.checks.foreign_digits import CONDITIONS, draw_line, mnist_digits, skeleton
from benchmarks.checks.foreign_lines import scanned_lines
from seqvision.data.files.line_look import ink_of, rise_of, thickness_of
from seqvision.data.files.ruled_lines import longest_row


@pytest.mark.parametrize("name", CONDITIONS)
def test_lines_are_as_their_condition_says(name: str) -> None:
    condition = CONDITIONS[name]
    lines, texts = scanned_lines("mnist", condition, 4, seed=3)
    again, _ = scanned_lines("mnist", condition, 4, seed=3)
    assert all(map(np.array_equal, lines, again))
    assert all(1 <= len(text.replace(" ", "")) <= 20 for text in texts)
    line = max(lines, key=lambda line: line.shape[1])
    ink = ink_of(line)
    assert ink is not None
    rows = np.flatnonzero(ink.any(axis=1))
    if condition.margins is None:
        assert rows[0] <= 3 <= line.shape[0] - 3 <= rows[-1] + 3
    if condition.tilt:
        assert abs(rise_of(ink)) == pytest.approx(np.tan(np.radians(3)), abs=0.02)
    assert (longest_row(line)[0] > 0.9) == bool(condition.rule)
    if condition.pen:
        assert thickness_of(line) == pytest.approx(condition.pen, abs=2)


def test_a_skeleton_is_one_pixel_wide() -> None:
    bar = np.zeros((20, 40), bool)
    bar[6:13, 5:35] = True
    thin = skeleton(bar)
    assert set(thin.sum(axis=0)) <= {0, 1}
    assert 22 <= thin.sum() <= 30
    assert bar[thin].all()


def test_a_usual_line_has_128_rows_and_its_text() -> None:
    images, labels = mnist_digits()
    line, text = draw_line(images, labels, CONDITIONS["usual layout"], np.random.default_rng(0))
    assert line.dtype == np.uint8
    assert line.shape[0] == 128
    assert set(text) <= set("0123456789 ")
