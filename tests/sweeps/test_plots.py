"""Plots of sweeps."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from seqvision.sweeps.search_space import grid
from seqvision.sweeps.table import Outcome
from tests.sweeps.plans import plan_of


def test_a_picture_of_numbers_and_names(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")  # The extra `plots`; the extra `test` has it too.
    from seqvision.sweeps.plots import draw_sweep

    plan = plan_of(*grid({"model.cell": ["lstm", "gru"], "optimizer.learning_rate": [1e-3, 1e-1]}))
    outcomes = [Outcome("done", 0.5, 1, curve=((1, 0.4), (2, 0.5)))] * 3 + [Outcome("missing")]
    draw_sweep(plan, outcomes, tmp_path / "sweep.png")
    draw_sweep(plan, [Outcome("missing")] * 4, tmp_path / "none.png")
    with Image.open(tmp_path / "sweep.png") as image, Image.open(tmp_path / "none.png") as none:
        assert image.width > 3 * image.height
        assert image.convert("L").entropy() > none.convert("L").entropy() > 0


@pytest.mark.parametrize("count", [1, 2, 12, 40])
def test_a_run_is_seen_on_light_and_dark_pages(count: int) -> None:
    """The contrast of WCAG 2.2, which asks for 3 to 1 of lines."""
    pytest.importorskip("matplotlib")
    from seqvision.sweeps.plots import run_colours

    def luminance(colour: Sequence[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    colours = [tuple(colour) for colour in run_colours(count)]
    assert len(set(colours)) == count
    for colour in colours:
        assert all(0 <= part <= 1 for part in colour)
        seen = luminance(colour) + 0.05
        assert 1.05 / seen >= 3
        assert seen / (luminance([27 / 255, 32 / 255, 39 / 255]) + 0.05) >= 3
