"""The process of one contender of `live`: pushes columns and times each push.

    live_worker.py CONTENDER WORKDIR FOLDER

A request is a line of JSON, as in `worker`: `{"do": "read"}` answers with the text of the first
columns; `{"do": "measure", "streams": 1, "columns": 8, "seconds": 1}` with times. It runs in any
build of seqvision that has a `StreamReader`.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_READ = 2000
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


def create_push(contender: str, workdir: Path, folder: Path, num_streams: int) -> Push:
    """A fresh reader of so many streams.

    Raises:
      ImportError: its library is not installed.
    """
    if contender == "seqvision":
        from seqvision import StreamReader

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
        push = create_push(contender, workdir, folder, 1)
    except ImportError as error:
        say({"error": f"{error}"})
        return
    say({"versions": {}})
    readers = {1: push}
    for request in map(json.loads, sys.stdin):
        if request["do"] == "read":
            events = [event for at in range(_READ) for event in push({0: lines[:, at : at + 1]})]
            say({"text": "".join(event.symbol for event in events if event.final)})
            continue
        streams = request["streams"]
        if streams not in readers:
            readers[streams] = create_push(contender, workdir, folder, streams)
        say(measure(readers[streams], lines, streams, request["columns"], request["seconds"]))


if __name__ == "__main__":
    main()
