"""ms per step of training and forward: seqvision's paths, plain Flax and PyTorch's cuDNN."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.accelerator import step_cases
from benchmarks.accelerator.paths import known_paths, torch_is_there
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.step_cases import Sizes
from benchmarks.accelerator.workers import Workers

_HEADING = (
    "ms per step (training: forward, backward, Adam; many steps in one call), median; `share`: of"
    " the peak of a large product in this precision; `us`: per recurrent step, ms / T (cuDNN on an"
    " H100, published, H=768 B=16 float16: 1.96 forward, 5.07 forward and backward). torch reads"
    " (T, B, D); its bfloat16 is autocast unless `bf16 module`; graph: a CUDA graph of a step"
)
_DRIFT = "The first case again at the end: drift of the machine"
# About what measuring takes, see `_measure`.
_FULL_SECONDS, _SECONDS = 0.6, 0.35
_FAMILIES = {"scan": "ours", "fused": "ours", "cudnn": "cudnn", "persistent": "persistent"}


def family(way: str) -> str:
    """The process that runs a way: what may crash has its own."""
    return _FAMILIES.get(way, way.split(",")[0].split()[0])


def run(record: Record) -> None:
    """Group by group: everything is compiled, and then measured while nothing else computes."""
    paths, with_torch = known_paths(record), torch_is_there()
    if not with_torch:
        record.leave_out("torch", "it is not installed")
    on_gpu = not record.rehearse
    families = dict.fromkeys([*map(family, paths), "flax", *(["torch"] if with_torch else [])])
    workers = Workers(record, {name: "torch" if name == "torch" else "jax" for name in families})
    peaks = _peaks(workers, record, "torch" if with_torch and on_gpu else "ours")
    first: dict[str, float] = {}
    prepare_seconds = 0.8
    waiting = step_cases.groups(record.rehearse)
    while waiting:
        # As much of the group as fits: what is not measured by the limit was compiled in vain.
        for count in range(len(waiting[0]), 0, -1):
            items = _items(waiting[0][:count], paths, with_torch, on_gpu)
            cost = prepare_seconds * len(items)
            cost += sum(_FULL_SECONDS if one.in_full else _SECONDS for one, _, _ in items)
            if record.left > cost + 5:
                break
        else:
            break
        record.tell("; ".join(sizes.name for sizes in waiting[0][:count]))
        start = time.monotonic()
        ready = _prepare(workers, [item for _, _, item in items], keep=list(first))
        prepare_seconds = 1.2 * (time.monotonic() - start) / len(items)
        measured = _group(workers, record, items, peaks, ready)
        first = first or measured
        waiting[0] = waiting[0][count:]
        if not waiting[0]:
            waiting.pop(0)
    for name, before in first.items():
        if record.left > 1.5:
            again = workers.measure(family(name.split("|")[0]), name, 3, 0.1)
            if again is not None:
                record.add(_DRIFT, case=name, first_ms=before, last_ms=again["ms"])
    for group in waiting:
        for sizes in group:
            record.leave_out(sizes.name, "no time left")
    workers.close()


def _items(
    group: list[Sizes], paths: list[str], with_torch: bool, on_gpu: bool
) -> list[tuple[Sizes, str, dict[str, Any]]]:
    """Sizes, mode and request of all that is measured."""
    return [
        (sizes, mode, step_cases.item(sizes, way, mode))
        for sizes in group
        for mode in (step_cases.MODES if sizes.in_full else ("training",))
        for way in step_cases.ways(sizes, paths, with_torch, on_gpu)
    ]


def _group(
    workers: Workers,
    record: Record,
    items: list[tuple[Sizes, str, dict[str, Any]]],
    peaks: dict[str, float],
    ready: set[str],
) -> dict[str, float]:
    """Measures what is prepared; the ms of training by id."""
    found = {}
    for sizes, mode, item in items:
        if item["id"] not in ready:
            continue
        if record.left < 4:
            record.leave_out(item["id"], "no time left")
            continue
        ms = _measure(workers, record, sizes, mode, item, peaks)
        if ms is not None and mode == "training":
            found[item["id"]] = ms
    return found


def _peaks(workers: Workers, record: Record, name: str) -> dict[str, float]:
    peaks = {}
    for precision in ("tf32", "bfloat16", "float32"):
        size = 256 if record.rehearse else 8192
        answer = workers.ask(name, {"do": "peak", "precision": precision, "size": size})
        if answer is not None:
            peaks[precision] = answer["flops"]
            record.add(
                "Peak: the product of two large square matrices of random numbers",
                precision=precision,
                by=name,
                size=size,
                tflops=answer["flops"] / 1e12,
            )
    return peaks


def _prepare(workers: Workers, items: list[dict[str, Any]], keep: list[str]) -> set[str]:
    """All families at once; the ids of what is ready."""
    by_family: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        by_family.setdefault(family(item["path"]), []).append(item)
    with ThreadPoolExecutor(len(by_family)) as threads:
        ready = threads.map(lambda name: workers.prepare(name, by_family[name], keep), by_family)
        return {name for names in ready for name in names}


def _measure(
    workers: Workers,
    record: Record,
    sizes: Sizes,
    mode: str,
    item: dict[str, Any],
    peaks: dict[str, float],
) -> float | None:
    """Adds a row; returns the ms."""
    rounds, seconds = (5, 0.07) if sizes.in_full else (3, 0.05)
    if record.rehearse:
        rounds, seconds = 1, 0.01
    found = workers.measure(family(item["path"]), item["id"], rounds, seconds)
    if found is None:
        return None
    flops = sizes.flops(mode) / (found["ms"] / 1000)
    peak = peaks.get(sizes.precision)
    record.add(
        _HEADING,
        way=item["path"],
        mode=mode,
        precision=sizes.precision,
        H=sizes.hidden,
        B=sizes.batch,
        T=sizes.steps,
        D=sizes.width,
        ms=found["ms"],
        lowest=min(found["all"]),
        highest=max(found["all"]),
        us=1000 * found["ms"] / sizes.steps,
        share=flops / peak if peak else None,
        all=found["all"],
    )
    return found["ms"]
