"""Seconds of whole commands: the test set evaluated, a folder of PNGs predicted, beside the peers.

    python -m benchmarks.speed.commands --workdir=runs/row_lstm --config=configs/row_lstm.py \
        --torch_python=PYTHON --keras_python=PYTHON

All have the weights of one trained row LSTM: the peers those of its exports. Timed from the start
of a process to its end: imports, reading, computing, and what is printed or written. `evaluate` is
the accuracy on the 10,000 test images of MNIST, whose decoded arrays seqvision has in its cache and
the peers unpack from MNIST's files; seqvision computes all other metrics, too. `predict` writes a
CSV of classes and probabilities of the same images as 10,000 PNG files, which PyTorch decodes by a
DataLoader with a process for each core, Keras by `image_dataset_from_directory` (which needs
TensorFlow). JAX finds its programs in a cache; the first round fills it, and is not counted. All
must find the same classes.
"""

import argparse
import csv
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks import options, report
from benchmarks.accuracy.mnist_files import read_split
from benchmarks.progress import Progress
from seqvision.errors import UserError

_ROOT = Path(__file__).parents[2]
TASKS = ("evaluate", "predict")
CONTENDERS = ("seqvision", "torch", "keras_jax", "keras_tensorflow")
_ACCURACY = re.compile(r"accuracy\W+(\d+\.\d+)")


class Made(NamedTuple):
    """What is made off the clock.

    Attributes:
      pictures: the folder of PNG files.
      weights: by the library that reads them.
      output: where each contender's CSV goes.
      cache: of compiled programs.
    """

    pictures: Path
    weights: Mapping[str, Path]
    output: Path
    cache: Path


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """See `options.Parser.parse`."""
    parser = options.Parser("benchmarks.speed.commands", __doc__)
    add = parser.add_argument
    add("--workdir", required=True, type=Path, help="a trained row LSTM of MNIST")
    add("--config", default="configs/row_lstm.py", help="its config")
    add("--rounds", type=options.count, default=6, help="of all in turn; by default 6")
    options.add_contenders(parser, CONTENDERS, "all")
    chosen = parser.parse(arguments)
    chosen.contenders = chosen.contenders or CONTENDERS
    return chosen


def command_of(contender: str, task: str, chosen: argparse.Namespace, made: Made) -> list[str]:
    """The command line of one contender."""
    files = [str(made.pictures), str(made.output)]
    if contender == "seqvision":
        command = [sys.executable, "main.py", f"--config={chosen.config}", f"--mode={task}"]
        command.append(f"--workdir={chosen.workdir.absolute()}")
        files = [f"--inputs={files[0]}/*.png", f"--output={files[1]}"]
    else:
        library = contender.partition("_")[0]
        python = chosen.torch_python if library == "torch" else chosen.keras_python
        module = f"benchmarks.speed.contenders.{library}_commands"
        command = [python, "-m", module, task, str(made.weights[library])]
    return command + files * (task == "predict")


def make(chosen: argparse.Namespace, folder: Path) -> Made:
    """Writes the PNG files, and the weights as the peers read them."""
    from safetensors.numpy import load_file

    pictures, weights = folder / "pictures", {}
    pictures.mkdir()
    images, _ = read_split("test")
    for number, image in enumerate((images * 255).round().astype(np.uint8)):
        Image.fromarray(image).save(pictures / f"{number:05}.png")
    for library, name in (("torch", "model.safetensors"), ("keras", "model.weights.h5")):
        export = [sys.executable, "main.py", f"--config={chosen.config}", "--mode=export"]
        export += [f"--workdir={chosen.workdir.absolute()}", f"--format={library}"]
        _run([*export, f"--output={folder / library}"], {})
        weights[library] = folder / library / name
    # Read by numpy: PyTorch needs no further library.
    arrays: dict[str, Any] = load_file(weights["torch"])
    np.savez(folder / "torch.npz", **arrays)
    weights["torch"] = folder / "torch.npz"
    return Made(pictures, weights, folder / "predictions.csv", folder / "compiled")


def measure(chosen: argparse.Namespace, made: Made) -> dict[str, dict[str, list[float]]]:
    """Seconds of each task and contender, round by round."""
    seconds: dict[str, dict[str, list[float]]] = {
        task: {contender: [] for contender in chosen.contenders} for task in TASKS
    }
    progress = Progress((1 + chosen.rounds) * len(TASKS) * len(chosen.contenders))
    answers: dict[str, object] = {}
    for number in range(1 + chosen.rounds):
        for task in TASKS:
            for contender in chosen.contenders:
                progress.show(f"{task}, {contender}")
                made.output.unlink(missing_ok=True)
                begun = time.monotonic()
                output = _run(
                    command_of(contender, task, chosen, made), _variables(contender, made)
                )
                elapsed = time.monotonic() - begun
                answer = _answer(task, output, made)
                if answers.setdefault(task, answer) != answer:
                    raise UserError(f"{contender} answers otherwise than {chosen.contenders[0]}")
                if number:
                    seconds[task][contender].append(elapsed)
                progress.advance()
    return seconds


def _answer(task: str, output: str, made: Made) -> object:
    """The accuracy in %, or the class of each file."""
    if task == "evaluate":
        found = _ACCURACY.search(output)
        return round(float(found[1]), 2) if found else output
    with made.output.open(newline="") as file:
        return [(Path(row["file"]).name, int(row["classes"])) for row in csv.DictReader(file)]


def _variables(contender: str, made: Made) -> dict[str, str]:
    return {
        "KERAS_BACKEND": contender.rpartition("_")[2],
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # As seqvision does by itself: programs that are compiled quickly are kept, too.
        "JAX_COMPILATION_CACHE_DIR": str(made.cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }


def _run(command: list[str], variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            command, cwd=_ROOT, env=os.environ | variables, capture_output=True, text=True
        )
    except OSError as error:
        raise UserError(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["nothing was printed"])[-1][:300]
        raise UserError(f"{' '.join(command[:4])} ended with {done.returncode}: {words}")
    return done.stdout


def body(seconds: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """A row for each task and contender, and how many times as long as seqvision it takes."""
    rows = []
    for task, contenders in seconds.items():
        own = contenders.get("seqvision")
        for contender, times in contenders.items():
            ratio = [b / a for a, b in zip(own or (), times, strict=False)]
            shown = f"{statistics.median(ratio):.2f}" if ratio else ""
            spread = f"{min(times):.2f}-{max(times):.2f}"
            rows.append([task, contender, f"{statistics.median(times):.2f}", spread, shown])
    header = ["task", "contender", "median, s", "spread", "times as long as seqvision"]
    return ["", *report.table(header, rows, num_words=2)]


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    facts = report.begin(chosen, "commands", config=chosen.config)
    with tempfile.TemporaryDirectory() as folder:
        seconds = measure(chosen, make(chosen, Path(folder)))
    report.write(facts | {"seconds": seconds}, body(seconds))
    print("\n".join(body(seconds)))
    print(f"benchmarks/results/{facts['name']}.md and .json")
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
