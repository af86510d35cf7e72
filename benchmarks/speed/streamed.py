"""Training on streamed examples beside examples in memory.

    python -m benchmarks.speed.streamed --source=folders

Makes a set that is larger than a given `config.data.resident_bytes`, trains on it from memory and
streamed, with the same seed, and compares the weights, the speed and the time without a batch.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options, report
from benchmarks.machine import describe_devices
from benchmarks.progress import Progress
from seqvision import prepare_host
from seqvision.errors import UserError

_SOURCES = ("npz", "folders")
_NUM_CLASSES = 10
_ALL_RESIDENT = 2**50


def make_set(folder: Path, source: str, num_examples: int, side: int) -> Path:
    """Noise on a stripe whose row is the class; returns what `config.data.path` is."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    labels = rng.integers(0, _NUM_CLASSES, num_examples)
    images = rng.integers(0, 128, (num_examples, side, side, 3), np.uint8)
    rows = labels * side // _NUM_CLASSES
    images[np.arange(num_examples), rows] += 64
    if source == "npz":
        np.savez(folder / "set.npz", images=images, labels=labels)
        return folder / "set.npz"
    for label in range(_NUM_CLASSES):
        (folder / "set" / f"class{label}").mkdir(parents=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / "set" / f"class{label}" / f"{number}.png")
    return folder / "set"


def train(chosen: argparse.Namespace, path: Path, folder: Path, resident_bytes: int) -> dict:
    """Trains from the first step to the last; returns its throughput and its weights.

    Raises:
      UserError: it takes too few steps to be timed.
    """
    from configs import row_lstm
    from seqvision import train_and_evaluate
    from seqvision.runs.records import read_record
    from seqvision.runs.saved_run import load_run

    config = row_lstm.get_config()
    config.data.source, config.data.path = chosen.source, str(path)
    config.data.cache_dir = str(folder / "cache")
    config.data.batch_size, config.data.resident_bytes = chosen.batch_size, resident_bytes
    config.model.hidden_size = chosen.hidden_size
    config.duration = f"{chosen.steps} steps"
    config.log_every, config.evaluate_every = "100 steps", "never"
    config.checkpoint.every = "never"
    workdir = folder / f"run{resident_bytes}"
    train_and_evaluate(config, workdir)
    status = read_record(workdir / "status.json")
    if status["throughput"] is None:
        raise UserError(f"--steps: {chosen.steps} is too few to be timed; raise it")
    return {
        **status["throughput"],
        "seconds": status["seconds"],
        "test": status["metrics"]["test"],
        "params": load_run(workdir).params,
    }


def body(facts: Mapping[str, Any]) -> list[str]:
    """A row for each way of training."""
    header = ["", "examples/s", "waiting for input", "whole run, s", "test loss"]
    rows = [
        [
            name,
            f"{case['examples_per_second']:,.0f}",
            "-" if case["input_wait"] is None else f"{case['input_wait']:.1%}",
            f"{case['seconds']:.1f}",
            f"{case['test']['loss']:.6f}",
        ]
        for name, case in facts["cases"].items()
    ]
    return [
        f"{facts['set']}.",
        "",
        *report.table(header, rows),
        "",
        f"Largest difference of a weight after {facts['steps']} steps:"
        f" {facts['largest_difference']:g}.",
    ]


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.speed.streamed", __doc__)
    add = parser.add_argument
    add("--source", choices=_SOURCES, default="npz", help="one file, or PNGs in class folders")
    add("--examples", type=options.count, default=20000, help="images; by default 20000")
    add("--side", type=options.count, default=64, help="pixels of each; by default 64 x 64 x 3")
    add("--resident_mib", type=options.count, default=64, help="config.data.resident_bytes; 64 MiB")
    add("--steps", type=options.count, default=300, help="of training; by default 300")
    add("--batch_size", type=options.count, default=128, help="by default 128")
    add("--hidden_size", type=options.count, default=128, help="by default 128")
    chosen = parser.parse(arguments)
    prepare_host(batch_size=chosen.batch_size)
    import jax
    import numpy as np

    size = chosen.examples * chosen.side**2 * 3 / 2**20
    facts = report.begin(
        chosen,
        f"streamed-{chosen.source}",
        describe_devices(),
        set=f"{chosen.examples:,} images, {size:,.0f} MiB as arrays, in {chosen.source}",
        steps=chosen.steps,
    )
    ways = {"in memory": _ALL_RESIDENT, "streamed": chosen.resident_mib * 2**20}
    cases = {}
    progress = Progress(len(ways))
    with tempfile.TemporaryDirectory() as folder:
        path = make_set(Path(folder), chosen.source, chosen.examples, chosen.side)
        for way, resident_bytes in ways.items():
            progress.show(way)
            cases[way] = train(chosen, path, Path(folder), resident_bytes)
            progress.advance()
    weights = [case.pop("params") for case in cases.values()]
    differences = jax.tree.map(lambda one, other: float(np.abs(one - other).max()), *weights)
    facts |= {"cases": cases, "largest_difference": max(jax.tree.leaves(differences))}
    print(report.write(facts, body(facts)))
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
