"""The process of one contender of `live`: pushes columns and times each push.

    live_worker.py CONTENDER WORKDIR FOLDER

A request is a line of JSON, as in `worker`: `{"do": "read", "streams": 1, "columns": 8}` answers
with the events of some pushes; `{"do": "measure", "streams": 1, "columns": 8, "seconds": 1}` with
times. It runs in any build of seqvision that has a `StreamReader`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

_READ = 256
_EVENT = ("stream", "symbol", "columns", "confidence", "final", "ends_word", "column")
_FEWEST = 20

Push = Callable[[dict[int, Any]], list[Any]]
"""Columns uint8 (height, n) by stream, to events."""


def measure(push: Push, lines: Any, num_streams: int, size: int, seconds: float) -> dict[str, Any]:
    """Pushes columns again and again; each stream begins elsewhere."""
    import numpy as np

    places = np.linspace(0, lines.shape[1] - size, num_streams, dtype=int)
    times: list[float] = []
    while len(times) < 2 * _FEWEST or sum(times[_FEWEST:]) < seconds:
        columns = {n: lines[:, at : at + size] for n, at in enumerate(places.tolist())}
        places = (places + size) % (lines.shape[1] - size)
        start = time.perf_counter()
        push(columns)
        times.append(time.perf_counter() - start)
    times = times[_FEWEST:]
    return {
        "p50_ms": 1000 * float(np.percentile(times, 50)),
        "p99_ms": 1000 * float(np.percentile(times, 99)),
        "columns_per_second": num_streams * size * len(times) / sum(times),
    }


def read(push: Push, lines: Any, num_streams: int, size: int) -> list[list[Any]]:
    """The events of some columns of each stream, as plain values; each begins elsewhere."""
    import numpy as np

    places = np.linspace(0, lines.shape[1] - _READ, num_streams, dtype=int).tolist()
    events = []
    for begin in range(0, _READ, size):
        events += push({n: lines[:, at + begin : at + begin + size] for n, at in enumerate(places)})
    return [[getattr(event, name) for name in _EVENT] for event in events]


def create_push(contender: str, workdir: Path, folder: Path, num_streams: int) -> Push:
    """A fresh reader of so many streams.

    Raises:
      ImportError: its library is not installed.
    """
    if contender in ("seqvision", "without"):
        from seqvision import StreamReader

        if contender == "without":
            from seqvision.inference import stream_engines

            mock.patch.object(stream_engines, "_has_onnxruntime", lambda: False).start()
        return StreamReader.from_run(workdir, num_streams).push
    from benchmarks.speed.live_contenders import OnnxStep, TorchStep, with_events

    if contender == "onnxruntime":
        return with_events(OnnxStep(folder / "step.onnx", num_streams), workdir, num_streams)
    compiled = contender == "torch_compiled"
    return with_events(TorchStep(workdir, num_streams, compiled), workdir, num_streams)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    contender, workdir, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    from seqvision import prepare_host

    prepare_host()
    import numpy as np

    lines = np.load(folder / "lines.npy")
    try:
        readers = {1: create_push(contender, workdir, folder, 1)}
    except ImportError as error:
        say({"error": f"{error}"})
        return
    say({"versions": {}})
    for request in map(json.loads, sys.stdin):
        streams, size = request["streams"], request["columns"]
        if streams not in readers:
            readers[streams] = create_push(contender, workdir, folder, streams)
        if request["do"] == "read":
            say({"events": read(readers[streams], lines, streams, size)})
        else:
            say(measure(readers[streams], lines, streams, size, request["seconds"]))


if __name__ == "__main__":
    main()
