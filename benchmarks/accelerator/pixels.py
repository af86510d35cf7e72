"""MNIST pixel by pixel, in order and permuted: seconds an epoch, and as many epochs as fit."""

from concurrent.futures import ThreadPoolExecutor

from benchmarks.accelerator import step_cases
from benchmarks.accelerator.paths import known_paths
from benchmarks.accelerator.record import Record
from benchmarks.accelerator.step_cases import Sizes
from benchmarks.accelerator.trainings import train
from benchmarks.accelerator.workers import Workers

_STEPS = "ms per step of training, T=784, H=128, plain LSTM, and the seconds of 55,000 images"
_EPOCHS = (
    "configs/pixel_lstm.py, as many epochs as fit (its schedule is stretched over these). Refine"
    " gates need `scan`; `persistent` and `fused` run without them"
)
_IMAGES = 55_000
# A process starts, compiles and evaluates in about so many seconds.
_OVERHEAD = 18


def run(record: Record) -> None:
    """First which path is fastest, then a training of each order on it."""
    sizes = Sizes(16, 16, "tf32", 16, 1) if record.rehearse else Sizes(128, 128, "tf32", 784, 1)
    ms = _steps(record, sizes)
    if not ms:
        record.fail("pixels", "no path ran")
        return
    fastest = min(ms, key=lambda path: ms[path])
    variants = ["full"] if record.rehearse else ["full", "permuted"]
    for number, variant in enumerate(variants):
        with record.case(variant):
            _train(record, variant, fastest, ms[fastest], len(variants) - number)
    if (
        not record.rehearse
        and fastest != "scan"
        and "scan" in ms
        and record.left > 1.3 * _OVERHEAD + _epoch(ms["scan"])
    ):
        with record.case("full, refine gates"):
            _train(record, "full", "scan", ms["scan"], 1)


def _epoch(ms: float) -> float:
    """Seconds of an epoch in batches of 128."""
    return _IMAGES / 128 * ms / 1000


def _steps(record: Record, sizes: Sizes) -> dict[str, float]:
    paths = [path for path in known_paths(record) if path != "cudnn"]
    paths = paths[-1:] if record.rehearse else paths
    workers = Workers(record, dict.fromkeys(paths, "jax"))
    items = {path: step_cases.item(sizes, path, "training") for path in workers.names}
    with ThreadPoolExecutor() as threads:
        ready = dict(
            zip(
                items,
                threads.map(lambda pair: workers.prepare(pair[0], [pair[1]]), items.items()),
                strict=True,
            )
        )
    ms = {}
    for path, item in items.items():
        if not ready[path]:
            continue
        found = workers.measure(path, item["id"], 2, 0.01 if record.rehearse else 0.3)
        if found is not None:
            ms[path] = found["ms"]
            record.add(_STEPS, path=path, ms=found["ms"], epoch_s=_epoch(found["ms"]))
    workers.close()
    return ms


def _train(record: Record, variant: str, path: str, ms: float, shares: int) -> None:
    """Trains in this share of the time left."""
    limit = record.left / shares - 1
    epochs = max(1, int((limit - _OVERHEAD) / (1.15 * _epoch(ms) + 0.5)))
    options = [
        f"--config.duration={epochs} epochs",
        "--config.evaluate_every=1 epochs",
        "--config.checkpoint.every=never",
        "--config.log_every=50 steps",
        f"--config.model.execution={path}",
    ]
    if path != "scan":
        options.append("--config.model.refine_gates=False")
    if record.rehearse:
        options = ["--config.duration=2 steps", "--config.data.height=4", "--config.data.width=4"]
        options += ["--config.model.hidden_size=8", "--config.schedule.warmup=1 steps"]
        options += ["--config.data.batch_size=16", "--config.log_every=1 steps"]
        options.append("--config.data.validation_examples=100")
    name = f"configs/pixel_lstm.py:{variant}"
    record.tell(f"{name} on {path}, {epochs} epochs")
    found = train(name, options, limit)
    if found.error:
        raise RuntimeError(found.error)
    speed = found.throughput.get("examples_per_second")
    for row in found.rows:
        if row["split"] != "train":
            record.add(
                _EPOCHS,
                variant=variant,
                path=path,
                split=row["split"],
                of_epochs=epochs,
                step=row["step"],
                accuracy=100 * row["accuracy"],
                seconds=row["seconds"],
                epoch_s=_IMAGES / speed if speed else None,
            )
    if found.was_cut:
        losses = [f"{loss:.3f}" for loss in found.losses[-3:]]
        done = found.rows[-1]["step"] if found.rows else 0
        record.leave_out(
            f"{variant} on {path}, the end of {epochs} epochs",
            f"cut after step {done}; last losses {', '.join(losses) or 'none'}",
        )
