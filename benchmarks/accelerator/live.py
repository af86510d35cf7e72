"""A push of columns into a live reader: one stream on the host and on the device, and many."""

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.accelerator.record import Record
from benchmarks.accelerator.trainings import ROOT

_PUSH = "A push of one column of each stream into configs/column_reader.py, to its events"
_SMALL = {"test_lines": 20, "validation_lines": 20, "train_lines": 200}


def run(record: Record) -> None:
    """A reader with weights of two steps of training: its speed is that of a trained one."""
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(dir=os.environ.get("SEQVISION_ACCELERATOR_SCRATCH")) as folder:
        workdir = Path(folder, "run")
        # What it prints is no progress of this part.
        with contextlib.redirect_stdout(sys.stderr):
            height = _train(workdir, record.rehearse)
        _measure(record, workdir, height)


def _train(workdir: Path, rehearse: bool) -> int:
    """Returns the height of its lines."""
    from configs import column_reader
    from seqvision.train import train_and_evaluate

    config = column_reader.get_config()
    config.duration, config.schedule.warmup = "2 steps", "1 steps"
    config.lines.update(_SMALL)
    config.lines.train_width = 64
    config.data.batch_size = config.data.eval_batch_size = 16
    if rehearse:
        config.model.hidden_size = 16
    train_and_evaluate(config, str(workdir))
    return config.lines.height


def _measure(record: Record, workdir: Path, height: int) -> None:
    import jax
    import numpy as np

    from benchmarks.speed import streaming
    from seqvision.inference import stream_network

    lines = np.random.default_rng(0).integers(0, 256, (height, 20_000), np.uint8)
    device = jax.devices()[0].device_kind
    seconds = 0.05 if record.rehearse else 1.0
    most_on_host = stream_network._MOST_ON_HOST
    for streams, on_host in ((1, True), (4096, False), (1, False), (256, False)):
        if record.rehearse:
            streams = min(streams, 20)
        if record.left < 3:
            record.leave_out(f"{streams} streams", "no time left")
            continue
        place = "the host (CPU, numpy)" if on_host else device
        with record.case(f"{streams} streams on {place}"):
            # One stream is read on the host; here the device is measured too.
            stream_network._MOST_ON_HOST = most_on_host if on_host else 0
            found = streaming.measure(workdir, lines, streams, 1, seconds)
            record.add(_PUSH, on=place, **found)
