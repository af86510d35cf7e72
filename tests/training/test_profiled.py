"""Training steps under the profiler: the summary, and what a profile leaves unchanged."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from ml_collections import ConfigDict

from seqvision.config.step_counts import Steps
from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.profiling import peak
from seqvision.profiling.hlo import (
    COLLECTIVES,
    ELEMENTWISE,
    LOOPS,
    MOVEMENT,
    PRODUCTS,
)
from seqvision.profiling.trace import read_spans, trace_files
from seqvision.runtime.mesh import create_mesh, replicated
from seqvision.tasks.classification_metrics import ClassSums
from seqvision.train import train_and_evaluate
from seqvision.training.dispatch import StepDispatcher
from seqvision.training.profiled import ProfiledSteps, check_folder
from seqvision.training.replicas import Replicas
from seqvision.training.resident import ResidentFeed
from seqvision.training.state import TrainState
from tests.same_run import assert_same_run, interrupt_at


def table(lines: list[str], title: str) -> dict[str, float]:
    """Shares of a table of the summary, in percent, by the name that begins the row."""
    (start,) = (number for number, line in enumerate(lines) if line.startswith(f"  {title}"))
    shares = {}
    for line in lines[start + 1 :]:
        cells = [cell for cell in line.split("  ") if cell.strip()]
        if "ms in all" in line or not cells[3].strip().endswith("%"):
            break
        shares[cells[0]] = float(cells[3].strip().removesuffix("%"))
    return shares


def test_a_profiled_resumed_run_is_summed_up_and_has_the_same_bits(
    tiny_config: ConfigDict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(peak, "measure_peak", lambda mesh, dtype: 1e12)
    tiny_config.duration = tiny_config.evaluate_every = "9 steps"
    tiny_config.log_every = "3 steps"
    tiny_config.augment.max_shift = 0.0  # Less to compile.
    assert train_and_evaluate(tiny_config, tmp_path / "plain").status == "done"
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        interrupted = train_and_evaluate(tiny_config, tmp_path / "profiled")
    assert (interrupted.status, interrupted.step) == ("interrupted", 3)
    traces = tmp_path / "traces"
    older = traces / "plugins" / "profile" / "2001_01_01" / "older.xplane.pb"
    older.parent.mkdir(parents=True)
    older.touch()
    capsys.readouterr()
    result = train_and_evaluate(tiny_config, tmp_path / "profiled", profile=traces)
    assert result.status == "done"
    printed = capsys.readouterr().out
    assert_same_run(tmp_path / "plain", tmp_path / "profiled")

    assert older.exists()
    (trace,) = trace_files(traces) - {older}
    assert (trace.parent / "perfetto_trace.json.gz").exists()
    lines = (traces / "summary.txt").read_text().splitlines()
    assert lines[0].startswith("profile of steps 7 to ")
    assert lines[0] in printed
    assert "ms with the profiler" in lines[1]
    assert "of the peak of" in lines[2]
    # Two devices, of which each is busy, in a loop or idle.
    for device in ("cpu:0", "cpu:1"):
        (row,) = (line.split() for line in lines if line.startswith(f"  {device}"))
        wall, busy, loops, idle = map(float, row[1:5])
        assert busy > 0
        assert wall == pytest.approx(busy + loops + idle, abs=0.01)
    groups, operations = table(lines, "by group"), table(lines, "longest 15")
    assert sum(groups.values()) == pytest.approx(100, abs=0.5)
    assert {PRODUCTS, ELEMENTWISE, MOVEMENT, COLLECTIVES, LOOPS} <= groups.keys()
    assert len(operations) == 15
    assert 0 < sum(operations.values()) <= 100.5
    assert any("recurrent/layer_0" in line and "backward" in line for line in lines)

    status = json.loads((tmp_path / "profiled" / "status.json").read_text())
    throughput = status["throughput"]
    assert throughput["share_of_peak"] == pytest.approx(
        throughput["examples_per_second"]
        * throughput["flops_per_example"]
        / throughput["peak_flops"],
        abs=1e-4,
    )
    plain = json.loads((tmp_path / "plain" / "status.json").read_text())["throughput"]
    assert plain["flops_per_example"] == throughput["flops_per_example"]
    assert plain["peak_flops"] is plain["share_of_peak"] is None
    environment = json.loads((tmp_path / "profiled" / "environment.json").read_text())
    assert environment["peak_flops"] == pytest.approx(throughput["peak_flops"], rel=1e-6)

    train_and_evaluate(tiny_config, tmp_path / "profiled", profile=traces)
    assert "no step is left of this run; nothing is traced" in capsys.readouterr().out


def test_the_longest_operation_of_a_large_product_is_the_product(
    tiny_config: ConfigDict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side, mesh = 1024, create_mesh(1)
    tiny_config.update(duration="42 steps", log_every="42 steps", evaluate_every="never")
    tiny_config.checkpoint.every = "never"
    settings = validate(tiny_config)
    train = load_dataset(settings).split("train")

    def step(state: TrainState) -> TrainState:
        return state.replace(step=state.step + 1, params=jnp.tanh(state.params @ state.params))

    @jax.jit
    def train_steps(state: TrainState, arrays: Any, indices: Any, num_steps: Any) -> Any:
        first = state.step
        state = jax.lax.while_loop(lambda s: s.step - first < num_steps, step, state)
        return state, jnp.isfinite(state.params).all()

    feed = ResidentFeed(train, Replicas(range(1)), 12, 42, mesh)
    calls = StepDispatcher(train_steps, feed, Steps.of(settings, len(train)), 12, mesh)
    steps = ProfiledSteps(calls, tmp_path, 42, None)
    state = TrainState(jnp.int32(0), jnp.ones((side, side)), None, None, ClassSums.zeros(2))
    state = jax.device_put(state, replicated(mesh))
    reached = [0]
    for _ in range(3):
        assert calls.throughput(None) is None or len(reached) > 2  # Not of the call that compiles.
        state, finite = steps.advance(state, reached[-1])
        reached.append(int(state.step))
        assert finite
    _, compiled, timed, traced = reached
    assert 0 < compiled < timed < traced  # However slow the machine, one step is traced.
    lines = (tmp_path / "summary.txt").read_text().splitlines()
    assert lines[0].startswith(f"profile of steps {timed + 1} to {traced},")
    assert max(table(lines, "by group").items(), key=lambda item: item[1])[0] == PRODUCTS
    name = next(iter(table(lines, "longest 15")))
    (longest,) = (line for line in lines if line.startswith(f"  {name} "))
    assert " 1.0  matrix products: " in longest  # It runs once a step.
    throughput = calls.throughput(1e12)
    assert throughput is not None
    assert lines[2].endswith(str(calls.throughput(None)))  # The traced steps do not count.
    assert throughput.flops_per_example == 2 * side**3 / 12
    assert throughput.share_of_peak == throughput.flops_per_second / 1e12
    assert calls.throughput(None).share_of_peak is None
    # The trace names the product and nothing else that multiplies.
    spans = read_spans(next(iter(trace_files(tmp_path))))
    assert sum(span.operation == name for span in spans) == traced - timed

    # The run is almost over: nothing is traced, and the steps are taken nevertheless.
    capsys.readouterr()
    late = ProfiledSteps(calls, tmp_path, traced + 2, None)
    state, _ = late.advance(state, traced)
    assert int(state.step) > traced
    (line,) = capsys.readouterr().out.splitlines()
    assert "2 step(s) are left of this run; nothing is traced" in line
    assert calls.throughput(None) != dataclasses.replace(throughput, peak_flops=None)


def test_folders_that_cannot_be_written(tiny_config: ConfigDict, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="--profile"):
            check_folder(folder)
    with pytest.raises(UserError, match="--profile"):
        train_and_evaluate(tiny_config, tmp_path / "run", profile=tmp_path / "file")
    assert not (tmp_path / "run").exists()
