"""Which way to run a layer is chosen: by name, by what was measured, by the GPU."""

import jax
import pytest

from seqvision.models.cells import CELLS
from seqvision.models.cells.base import CellOptions
from seqvision.models.execution import choose, measured_times, native_lstm
from seqvision.models.execution.choose import choose_execution
from seqvision.models.execution.measured_times import StepTimes, faster_on_cpu
from tests.models.random_layers import CELL_NAMES


def test_the_choice_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_lstm, "why_not", lambda dtype="": "none" * (dtype == "bfloat16"))
    monkeypatch.setattr(choose, "has_vectors", lambda name: name == "avx512f")
    for cell in CELLS:
        can_fuse = cell in CELL_NAMES
        assert CellOptions(refine_gates=True).needs_scan
        assert not CellOptions("chrono", 2.0, recurrent_init="identity").needs_scan
        fastest = "native" if cell == "lstm" else "fused" if can_fuse else "scan"
        assert choose_execution("auto", cell, 512, "float32") == fastest
        assert choose_execution("auto", cell, 512, "float32", needs_scan=True) == "scan"
        assert choose_execution("scan", cell, 512, "float32", needs_scan=True) == "scan"
        if can_fuse:
            assert choose_execution("fused", cell, 16, "float32") == "fused"
        fitting = ("fused", can_fuse), ("native", cell == "lstm"), ("cudnn", cell == "lstm")
        for path, fits in fitting:
            for refine in (True,) if fits else (False, True):
                with pytest.raises(ValueError, match=f"execution '{path}' is for lstm"):
                    choose_execution(path, cell, 16, "float32", refine)
    assert choose_execution("auto", "lstm", 512, "bfloat16") == "fused"
    with pytest.raises(
        ValueError, match="execution 'native' cannot be made here: none; choose auto"
    ):
        choose_execution("native", "lstm", 16, "bfloat16")
    with pytest.raises(ValueError, match="execution 'cudnn' multiplies in float32 or TF32"):
        choose_execution("cudnn", "lstm", 16, "bfloat16")
    with pytest.raises(ValueError, match="execution 'fast' is not known; choose one of auto, scan"):
        choose_execution("fast", "lstm", 16, "float32")
    monkeypatch.setattr(choose, "has_vectors", lambda name: False)
    assert choose_execution("auto", "lstm", 512, "float32") == "fused"
    assert choose_execution("native", "lstm", 512, "float32") == "native"


def test_auto_reads_the_nearest_size_of_the_newest_series_that_is_not_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        ((0, 9), "lstm", "float32", 64, 1.0, 2.0),
        ((0, 9), "lstm", "float32", 256, 2.0, 1.0, 0.5),
        ((0, 9), "lstm", "bfloat16", 64, 2.0, 1.0),
        ((0, 9), "gru", "float32", 64, 2.0, 1.0),
        ((0, 12), "lstm", "float32", 64, 2.0, 1.0),
    ]
    monkeypatch.setattr(measured_times, "ON_CPU", [StepTimes(*row) for row in rows])
    for version, cell, hidden_size, faster in [
        ((0, 9, 2), "lstm", 64, "scan"),
        ((0, 9, 2), "lstm", 127, "scan"),
        ((0, 9, 2), "lstm", 129, "fused"),
        ((0, 9, 2), "gru", 4096, "fused"),
        ((0, 8, 0), "lstm", 1, "scan"),
        ((0, 11, 9), "lstm", 64, "scan"),
        ((0, 12, 0, 1), "lstm", 64, "fused"),
        ((1, 0, 0), "lstm", 256, "fused"),
    ]:
        assert faster_on_cpu(cell, hidden_size, "float32", version) == faster
    assert faster_on_cpu("lstm", 64, "bfloat16", (0, 9, 2)) == "fused"
    assert faster_on_cpu("lstm", 64, "float16", (0, 9, 2)) == "scan"  # Never measured.
    # Compiled C++ was measured at one size, and does not depend on jax.
    assert faster_on_cpu("lstm", 256, "float32", (0, 9, 2), has_native=True) == "native"
    assert faster_on_cpu("lstm", 64, "float32", (0, 12), has_native=True) == "fused"


def test_auto_on_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert choose_execution("auto", "lstm", 64, "float32") == "scan"  # None that was measured.
    for capability in ("8.0", "10.0"):
        monkeypatch.setattr(choose, "compute_capability", lambda name=capability: name)
        assert choose_execution("auto", "lstm", 64, "bfloat16") == "scan"
    monkeypatch.setattr(choose, "compute_capability", lambda: "9.0")
    assert choose_execution("auto", "lstm", 128, "float32") == "persistent"
    assert choose_execution("auto", "lstm", 100, "bfloat16") == "persistent"
    assert choose_execution("auto", "lstm", 129, "bfloat16") == "fused"
    assert choose_execution("auto", "lstm", 128, "float32", needs_scan=True) == "scan"
    assert choose_execution("auto", "gru", 128, "float32") == "scan"
    with jax.default_matmul_precision("highest"):
        assert choose_execution("auto", "lstm", 128, "float32") == "fused"
        assert choose_execution("auto", "lstm", 128, "bfloat16") == "persistent"
