"""Whole trainings: losses beside the CPU's, time to 98.5 % on MNIST, many seeds, other configs."""

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accelerator import step_cases
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.step_cases import Sizes
from benchmarks.accelerator.trainings import Training, compiled_in, train
from benchmarks.accelerator.workers import Workers

_ROW = "configs/row_lstm.py"
_TARGET = 98.5
_LOSSES = "Training losses of the first steps beside those of the CPU, same config"
_WHOLE = (
    "Whole commands: `whole_s` of the process; `first_log_s` from its start to its first log line"
    " (data, compiling, first steps); `training_s` of the steps without compiling"
)
_SEEDS = "Seeds at once, row LSTM H=128, batch 64 of each: `ratio` of one after another to at once"


def run(record: Record) -> None:
    """Each with a limit of its own."""
    executions = ["auto", "scan"]
    record.tell("losses beside the CPU")
    with record.case("losses beside the CPU"):
        _compare_losses(record, executions)
    record.tell("seeds at once")
    with record.case("seeds"):
        _seeds(record, executions)
    with record.case("to 98.5 %"):
        _to_accuracy(record, executions)
    # Steps that take a few seconds; the last evaluation counts the whole test set.
    others = {
        "configs/frame_lstm.py": ["--config.clips.test_clips=500"],
        "configs/cnn_lstm.py": ["--config.data.validation_examples=500"],
        "configs/column_reader.py": ["--config.lines.test_lines=500"],
    }
    for config, options in others.items():
        if record.rehearse or record.left < 8:
            record.leave_out(config, "no time left" if record.left < 8 else "not rehearsed")
            continue
        record.tell(config)
        with record.case(config):
            steps = 200
            options = [
                *_for_steps(steps),
                f"--config.log_every={steps // 4} steps",
                *options,
            ]
            found = train(config, options, min(record.left - 2, 40))
            _add(record, config, "auto", f"{steps} steps", found)


def _for_steps(count: int) -> list[str]:
    never = ["--config.evaluate_every=never", "--config.checkpoint.every=never"]
    return [f"--config.duration={count} steps", "--config.schedule.warmup=1 steps", *never]


def _tiny() -> list[str]:
    """For a rehearsal."""
    sizes = ["--config.model.hidden_size=16", "--config.data.batch_size=16"]
    return [*sizes, "--config.data.validation_examples=100"]


def _compare_losses(record: Record, executions: list[str]) -> None:
    """The CPU's run and those of the device, all at once, since nothing is timed."""
    count = 3 if record.rehearse else 50
    options = [*_for_steps(count), "--config.log_every=1 steps"]
    options += _tiny() if record.rehearse else []
    limit = record.left - 2 if record.rehearse else min(80, record.left - 2)

    def losses(execution: str, environment: dict[str, str]) -> Training:
        chosen = f"--config.model.execution={execution}"
        # The tuned config turns images, which takes long to compile for a CPU.
        config = f"{_ROW}:fast" if record.rehearse else _ROW
        return train(config, [*options, chosen], limit, environment)

    with ThreadPoolExecutor() as threads:
        on_cpu = threads.submit(losses, "scan", {"JAX_PLATFORMS": "cpu"})
        futures = {name: threads.submit(losses, name, {}) for name in executions}
    expected = on_cpu.result()
    if expected.error or len(expected.losses) != count:
        raise RuntimeError(f"the run on the CPU: {_why(expected)}")
    for name, future in futures.items():
        found = future.result()
        if found.error or len(found.losses) != count:
            record.fail(f"losses, execution {name}", _why(found))
            continue
        pairs = list(zip(expected.losses, found.losses, strict=True))
        apart = [abs(one - other) for one, other in pairs]
        record.add(
            _LOSSES,
            execution=name,
            steps=count,
            largest_difference=max(apart),
            at_step=apart.index(max(apart)) + 1,
            of_first_10=max(apart[:10]),
            last_cpu=expected.losses[-1],
            last=found.losses[-1],
            all=pairs,
        )


def _to_accuracy(record: Record, executions: list[str]) -> None:
    """`:fast` with nothing compiled before (cold), and again (warm)."""
    options = [*_for_steps(3), *_tiny()] if record.rehearse else []
    with tempfile.TemporaryDirectory(dir=os.environ.get("SEQVISION_ACCELERATOR_SCRATCH")) as folder:
        tries = [("auto", "cold"), ("auto", "warm"), ("scan", "cold")]
        if record.rehearse:
            tries = tries[:1]
        for name, cache in tries:
            if record.left < 6:
                record.leave_out(f"{_ROW}:fast {name} {cache}", "no time left")
                continue
            record.tell(f"{_ROW}:fast, execution {name}, {cache}")
            chosen = f"--config.model.execution={name}"
            environment = compiled_in(f"{folder}/{name}")
            limit = record.left - 2 if record.rehearse else min(record.left - 2, 45)
            found = train(f"{_ROW}:fast", [*options, chosen], limit, environment)
            _add(record, f"{_ROW}:fast", name, f"to the end, {cache}", found)


def _add(record: Record, config: str, execution: str, what: str, found: Training) -> None:
    """A row; a command that failed is a failure, one that was cut by its limit is named."""
    speed = found.throughput.get("examples_per_second")
    done = found.rows[-1]["step"] if found.rows else 0
    size = _batch_size(config)
    record.add(
        _WHOLE,
        config=config,
        execution=execution,
        what=what + (f", cut after step {done}" if found.was_cut else ""),
        whole_s=found.seconds,
        first_log_s=found.first_log,
        training_s=done * size / speed if speed else None,
        steps_per_s=speed / size if speed else None,
        last_loss=found.losses[-1] if found.losses else None,
        test_accuracy=found.accuracy,
        reached=_reached(found.accuracy),
    )
    if found.error:
        record.fail(f"{config} {execution}, {what}", found.error)


def _reached(accuracy: float | None) -> str | None:
    if accuracy is None:
        return None
    return f"{'reached' if accuracy >= _TARGET else 'below'} {_TARGET} %"


def _batch_size(config: str) -> int:
    import importlib

    path, _, variant = config.partition(":")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    return (module.get_config(variant) if variant else module.get_config()).data.batch_size


def _seeds(record: Record, executions: list[str]) -> None:
    """Steps of 1, 8 and 64 seeds, by `auto` and by `scan`."""
    sizes = Sizes(16, 16, "tf32", 7) if record.rehearse else Sizes(128, 64, "tf32")
    counts = (1,) if record.rehearse else (1, 8, 64)
    workers = Workers(record, dict.fromkeys(executions, "jax"))

    def items(name: str) -> list[dict[str, Any]]:
        one = step_cases.item(sizes, name, "training")
        return [one | {"id": f"{name}, {count} seeds", "num_seeds": count} for count in counts]

    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda name: workers.prepare(name, items(name)), workers.names))
    for name in workers.names:
        alone = None
        for count in counts:
            if record.left < 3:
                record.leave_out(f"{name}, {count} seeds", "no time left")
                continue
            rounds, seconds = (1, 0.01) if record.rehearse else (3, 0.3)
            found = workers.measure(name, f"{name}, {count} seeds", rounds, seconds)
            if found is None:
                continue
            alone = found["ms"] if count == 1 else alone
            record.add(
                _SEEDS,
                execution=name,
                seeds=count,
                ms=found["ms"],
                seed_steps_per_s=1000 * count / found["ms"],
                ratio=count * alone / found["ms"] if alone else None,
            )
    workers.close()


def _why(found: Training) -> str:
    return found.error or f"it logged {len(found.losses)} losses (cut: {found.was_cut})"
