"""Parity: every path on this device beside `scan` in float32 on the CPU, values and gradients."""

import threading
import time
from typing import Any

from benchmarks.accelerator import worker
from benchmarks.accelerator.paths import known_paths
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.worker import PRECISIONS
from benchmarks.speed.process import WorkerError

TOLERANCES = {"float32": 1e-5, "tf32": 2e-3, "bfloat16": 2e-2}
_BATCH = 9
# Which of several kernels multiplies changes no more than rounding, and to try them takes long.
_QUICK = {"XLA_FLAGS": "--xla_gpu_autotune_level=0"}


def items(path: str, rehearse: bool) -> list[dict[str, Any]]:
    """The cases of a path, most important first: the usual size, then odd ones, and the others."""
    main = {"B": 128, "T": 28, "D": 28, "H": 128}
    odd = [
        {"B": 16, "T": 7, "D": 28, "H": 64},
        {"B": 48, "T": 28, "D": 300, "H": 128},
        {"B": 16, "T": 1, "D": 1, "H": 16},
        {"B": 48, "T": 28, "D": 28, "H": 256},
        {"B": 48, "T": 7, "D": 1, "H": 16},
        {"B": 16, "T": 28, "D": 300, "H": 64},
    ]
    ways = [(False, False), (False, True), (True, True)]  # In reverse; with lengths.
    if rehearse:
        main, odd, ways = {"B": 16, "T": 7, "D": 28, "H": 16}, [], [(True, True)]
    found = [
        {**main, "precision": precision, "reverse": reverse, "lengths": lengths}
        for reverse, lengths in ways
        for precision in PRECISIONS
    ]
    found += [
        {**sizes, "precision": precision, "reverse": reverse, "lengths": True}
        for precision in PRECISIONS
        for number, sizes in enumerate(odd)
        for reverse in (bool(number % 2), not number % 2)
    ]
    return [{"path": path, **item} for item in found]


def run(record: Record) -> None:
    """Each path in a process of its own, all at once: a crash of one leaves the others."""
    threads = [
        threading.Thread(target=_check_path, args=(record, path), daemon=True)
        for path in known_paths(record)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(record.left, 0))
        if thread.is_alive():
            record.leave_out("cases still under way", "no time left")


def _check_path(record: Record, path: str) -> None:
    waiting = items(path, record.rehearse)
    checked, seconds, process = 0, 4.0, None
    while waiting and record.left > 1.2 * seconds:
        start = time.monotonic()
        now, waiting = waiting[:_BATCH], waiting[_BATCH:]
        record.tell(f"{path}: {len(now)} cases, then {len(waiting)} more")
        try:
            process = process or worker.start("jax", {} if record.rehearse else _QUICK)
            request = {"do": "parity", "items": now}
            results = worker.ask(process, request, max(record.left - 3, 5))["results"]
        except WorkerError as error:
            for item in now:
                record.fail(_name(item), str(error))
            process = None
            continue
        checked += sum([_note(record, *pair) for pair in zip(now, results, strict=True)])
        seconds = time.monotonic() - start
    if process is not None:
        process.close()
    if not checked:
        record.fail(path, "no case of it was compared")
    for item in waiting:
        record.leave_out(_name(item), "no time left")


def _note(record: Record, item: dict[str, Any], result: dict[str, Any]) -> bool:
    """Whether it was compared."""
    if "errors" not in result:
        note = record.leave_out if result["refused"] else record.fail
        note(_name(item), f"refused: {result['reason']}" if result["refused"] else result["reason"])
        return False
    errors, tolerance = result["errors"], TOLERANCES[item["precision"]]
    worst = max(errors, key=lambda name: errors[name])
    is_equal = errors[worst] <= tolerance
    record.add(
        "Relative difference in norm from scan in float32 on the CPU",
        **item,
        most=errors[worst],
        of=worst,
        allowed=tolerance,
        all=errors,
    )
    if not is_equal:
        record.fail(_name(item), f"{worst} differs by {errors[worst]:.2g}, allowed {tolerance:g}")
    return True


def _name(item: dict[str, Any]) -> str:
    sizes = " ".join(f"{name}={item[name]}" for name in "BTDH")
    ends = f"{' lengths' * item['lengths']}{' reverse' * item['reverse']}"
    return f"{item['path']} {item['precision']} {sizes}{ends}"
