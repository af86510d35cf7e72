"""Profiles: the shares, the summary, programs whose cost is known, and what a profile leaves be."""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from seqvision.config.step_counts import Steps
from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset
from seqvision.errors import UserError
from seqvision.profiling import peak
from seqvision.profiling.flops import count_flops
from seqvision.profiling.hlo import (
    COLLECTIVES,
    ELEMENTWISE,
    LOOPS,
    MOVEMENT,
    PRODUCTS,
    operation_by_name,
    read_operations,
)
from seqvision.profiling.summary import Profile
from seqvision.profiling.throughput import Throughput
from seqvision.profiling.trace import Span, covered_seconds, read_spans, trace_files
from seqvision.runtime.mesh import create_mesh, replicated
from seqvision.tasks.classification_metrics import ClassSums
from seqvision.train import train_and_evaluate
from seqvision.training.dispatch import StepDispatcher
from seqvision.training.from_config import create_training
from seqvision.training.profiled import ProfiledSteps, check_folder
from seqvision.training.replicas import Replicas
from seqvision.training.resident import ResidentFeed
from seqvision.training.state import TrainState
from tests.test_train import assert_same_run, interrupt_at


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
    tiny_config: ConfigDict, tmp_path: Path
) -> None:
    side, mesh = 512, create_mesh(1)
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

    feed = ResidentFeed(train, Replicas(range(1)), 64, 42, mesh)
    calls = StepDispatcher(train_steps, feed, Steps.of(settings, len(train)), 64, mesh)
    said: list[str] = []
    steps = ProfiledSteps(calls, tmp_path, 42, None, said.append)
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
    assert throughput.flops_per_example == 2 * side**3 / 16
    assert throughput.share_of_peak == throughput.flops_per_second / 1e12
    assert calls.throughput(None).share_of_peak is None
    # The trace names the product and nothing else that multiplies.
    spans = read_spans(next(iter(trace_files(tmp_path))))
    assert sum(span.operation == name for span in spans) == traced - timed

    # The run is almost over: nothing is traced, and the steps are taken nevertheless.
    said.clear()
    late = ProfiledSteps(calls, tmp_path, traced + 2, None, said.append)
    state, _ = late.advance(state, traced)
    assert int(state.step) > traced
    (line,) = said
    assert "2 step(s) are left of this run; nothing is traced" in line
    assert calls.throughput(None) != dataclasses.replace(throughput, peak_flops=None)


def test_time_under_several_spans_counts_once() -> None:
    spans = [Span("cpu:0", "a", *times) for times in ((1, 3), (2, 4), (0, 0.5), (1.5, 2))]
    assert covered_seconds(spans) == 3.5
    assert covered_seconds([]) == 0


def test_a_trace_that_names_nothing_is_one_line() -> None:
    profile = Profile(1, 2, 4, 1.0, 0.5, Throughput(8.0, 1e6), [], {})
    assert "could not be summed up" in list(profile.lines(5))[-1]


HLO = """
%fused (p: f32[2,2]) -> f32[2,2] {
  %p = f32[2,2]{1,0} parameter(0)
  ROOT %inner = f32[2,2]{1,0} dot(%p, %p), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%moved (p.1: f32[2,2]) -> f32[2,2] {
  %p.1 = f32[2,2]{1,0} parameter(0)
  ROOT %t.1 = f32[2,2]{0,1} transpose(%p.1), dimensions={1,0}
}

ENTRY %main (x: f32[2,2]) -> (f32[2,2], s32[]) {
  %x = f32[2,2]{1,0} parameter(0)
  %a_fusion = f32[2,2]{1,0} fusion(%x), kind=kCustom, calls=%fused, METADATA
  %b_fusion.2 = f32[2,2]{0,1} fusion(%x), kind=kLoop, calls=%moved
  %gemm.3 = (f32[2,2]{1,0}, /*index=1*/s8[4]{0}) custom-call(%x), custom_call_target="__cublas$gemm"
  %tanh.1 = f32[2,2]{1,0} tanh(%x), metadata={op_name="jit(f)/jvp(Net)/tanh"}
  %sum = f32[2,2]{1,0} all-reduce-start(%x), to_apply=%add
  ROOT %loop.1 = (f32[2,2]{1,0}, s32[]) while(%x), condition=%c, body=%b
}
"""


def test_operations_of_a_program() -> None:
    op_name = "jit(f)/while/body/transpose(jvp(Net))/cell/dot_general"
    operations = read_operations(HLO.replace("METADATA", f'metadata={{op_name="{op_name}" id=1}}'))
    assert operations["a_fusion"].group == PRODUCTS
    assert operations["a_fusion"].scope == "backward Net/cell/dot_general"
    assert operations["b_fusion.2"].group == MOVEMENT
    assert operations["gemm.3"].group == PRODUCTS
    assert operations["tanh.1"].group == ELEMENTWISE
    assert operations["tanh.1"].scope == "forward Net/tanh"
    assert operations["sum"].group == COLLECTIVES
    assert operations["loop.1"].group == LOOPS
    by_name = {name: operation_by_name(name).group for name in ("dot.17", "add_fusion.2")}
    assert by_name == {"dot.17": PRODUCTS, "add_fusion.2": ELEMENTWISE}


def test_training_flops_of_the_row_lstm_by_hand(tiny_config: ConfigDict) -> None:
    tiny_config.augment.max_shift, tiny_config.model.execution = 0.0, "fused"
    settings = validate(tiny_config)
    dataset = load_dataset(settings)
    train = dataset.split("train")
    setup = create_training(settings, dataset, Steps.of(settings, len(train)))
    arguments = (
        setup.replicas.abstract_state(setup.init, setup.mesh),
        jax.eval_shape(lambda: train.arrays),
        jax.ShapeDtypeStruct((1, 16), jnp.int32),
        jax.ShapeDtypeStruct((), jnp.int32),
    )
    counted = count_flops(setup.train_steps, *arguments) / 16
    # The bias is one more row of the fused product, for an input of ones.
    steps, inputs, hidden, classes = 8, 8 + 1, 8, 4
    forward = 2 * (steps * (inputs + hidden) * 4 * hidden + hidden * classes)
    # The gradient of a product is two products; that for the images themselves is not wanted.
    unwanted = 2 * steps * inputs * 4 * hidden
    assert counted == 3 * forward - unwanted


def test_flops_of_all_devices() -> None:
    mesh = create_mesh()
    own, everywhere = PartitionSpec("data"), PartitionSpec()

    def product(a: Any, b: Any) -> Any:
        return jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(own, everywhere), out_specs=own)(a, b)

    assert mesh.size == 2
    assert count_flops(product, jnp.zeros((6, 4)), jnp.zeros((4, 5))) == 2 * 6 * 4 * 5


def test_the_peak_is_that_of_plain_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a factor of three, which other work on the machine stays below in the best of ten."""
    monkeypatch.setattr(peak, "_SIDE_ON_CPU", 1024)  # Sooner done.
    matrix, product, best = jnp.ones((1024, 1024)), jax.jit(jnp.matmul), float("inf")
    product(matrix, matrix).block_until_ready()
    for _ in range(10):
        start = time.perf_counter()
        product(matrix, matrix).block_until_ready()
        best = min(best, time.perf_counter() - start)
    ratio = peak.measure_peak(create_mesh(), "float32") / (2 * 1024**3 / best)
    assert 1 / 3 < ratio < 3


def test_folders_that_cannot_be_written(tiny_config: ConfigDict, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="--profile"):
            check_folder(folder)
    with pytest.raises(UserError, match="--profile"):
        train_and_evaluate(tiny_config, tmp_path / "run", profile=tmp_path / "file")
    assert not (tmp_path / "run").exists()
