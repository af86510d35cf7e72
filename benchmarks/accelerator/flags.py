"""Flags of XLA, tried on steps of training: each in a process of its own."""

import os
from concurrent.futures import ThreadPoolExecutor

from benchmarks.accelerator import step_cases
from benchmarks.accelerator.paths import known_paths
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.step_cases import Sizes
from benchmarks.accelerator.workers import Workers

_WHILE = "--xla_gpu_enable_command_buffer=+WHILE"
_UNROLL = "--xla_gpu_command_buffer_unroll_loops=true"
FLAGS = {"none": "", "+WHILE": _WHILE, "unroll_loops": _UNROLL, "both": f"{_WHILE} {_UNROLL}"}
_PATHS = ("scan", "fused", "persistent")


def run(record: Record) -> None:
    """Compiles under all flags at once, and then measures one after another."""
    sizes = [Sizes(128, 128, "tf32"), Sizes(128, 128, "bfloat16")]
    if record.rehearse:
        sizes = [Sizes(16, 16, "tf32", 7)]
    environments = {
        name: {"XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), flags]).strip()}
        for name, flags in FLAGS.items()
        if not record.rehearse or name in ("none", "+WHILE")
    }
    # XLA ends a process at the start whose flags it does not know: a finding, not a failure.
    workers = Workers(record, dict.fromkeys(environments, "jax"), environments, must_start=False)
    known = workers.names
    paths = [path for path in known_paths(record) if path in _PATHS][-1 if record.rehearse else 0 :]
    items = [step_cases.item(one, path, "training") for one in sizes for path in paths]
    with ThreadPoolExecutor(len(FLAGS)) as threads:
        ready = threads.map(lambda name: workers.prepare(name, items), known)
    for name, ids in zip(known, ready, strict=True):
        for item in ids:
            if record.left < 2:
                record.leave_out(f"{name}: {item}", "no time left")
                continue
            rounds, seconds = (1, 0.01) if record.rehearse else (3, 0.15)
            found = workers.measure(name, item, rounds, seconds)
            if found is not None:
                path, _, case = item.split("|")
                record.add(
                    "XLA flags: ms per step of training",
                    flags=FLAGS[name] or "none",
                    path=path,
                    case=case,
                    ms=found["ms"],
                    lowest=min(found["all"]),
                    highest=max(found["all"]),
                )
    workers.close()
