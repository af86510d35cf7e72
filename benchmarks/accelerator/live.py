"""A push of columns into a live reader: one stream on the host and on the device, and many."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.accelerator.record import Record
from benchmarks.speed import streaming
from configs import column_reader
from seqvision import StreamReader
from seqvision.config.validation import validate
from seqvision.runs.data_facts import DataFacts
from seqvision.runs.saved_run import Run
from seqvision.tasks.from_config import create_network, create_task

_PUSH = "A push of one column of each stream into configs/column_reader.py, to its events"
_HEIGHT = 32
_SYMBOLS = (*"0123456789", " ")


def run(record: Record) -> None:
    """The most important first."""
    lines = np.random.default_rng(0).integers(0, 256, (_HEIGHT, 20_000), np.uint8)
    reader = _untrained(16 if record.rehearse else 128)
    device = jax.devices()[0].device_kind
    for streams, on_host in ((1, True), (4096, False), (1, False), (256, False)):
        streams = min(streams, 20) if record.rehearse else streams
        place = "the host (CPU, numpy)" if on_host else device
        if record.left < 3:
            record.leave_out(f"{streams} streams on {place}", "no time left")
            continue
        with record.case(f"{streams} streams on {place}"):
            live = StreamReader(reader, streams, engine="numpy" if on_host else "jax")
            found = streaming.measure(live, lines, 1, 0.05 if record.rehearse else 1.0)
            record.add(_PUSH, on=place, **found)


def _untrained(hidden_size: int) -> Run:
    """A run with random weights: it is as fast as a trained one."""
    config = column_reader.get_config()
    config.model.hidden_size = hidden_size
    settings = validate(config)
    task = create_task(settings, _SYMBOLS)
    model = create_network(settings, task)
    shape = (_HEIGHT, 64, 1)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *shape)))
    data = DataFacts("digit_lines", "", shape, _SYMBOLS, "dark", {})
    params = jax.device_get(variables["params"])
    return Run(Path("untrained"), settings, data, task, model, params, step=0, seed=0)
