"""Plots of sweeps."""

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
