"""What streaming costs: `python -m benchmarks.streamed --source=folders`.

Makes a set that is larger than a given `config.data.resident_bytes`, trains on it from memory and
streamed, with the same seed, and compares the weights, the speed and the time without a batch.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.machine import describe_command, describe_machine
from benchmarks.report import machine_line, publish
from seqvision.runtime.cpu_devices import prepare_host

_SOURCES = ("npz", "folders")
_NUM_CLASSES = 10
_FOREVER = 2**50


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, checked.

    Raises:
      UserError: one of them is wrong, or names results that are there.
    """
    parser = options.Parser("benchmarks.streamed", __doc__)
    add = parser.add_argument
    add("--source", choices=_SOURCES, default="npz", help="one file, or PNGs in class folders")
    add("--examples", type=options.count, default=20000, help="images; by default 20000")
    add("--side", type=options.count, default=64, help="pixels of each; by default 64 x 64 x 3")
    add("--resident_mib", type=options.count, default=64, help="config.data.resident_bytes; 64 MiB")
    add("--steps", type=options.count, default=300, help="of training; by default 300")
    add("--batch_size", type=options.count, default=128, help="by default 128")
    add("--hidden_size", type=options.count, default=128, help="by default 128")
    options.add_name(parser, "versions")
    chosen = parser.parse_args(arguments)
    if chosen.name:
        options.check_free(chosen.name, chosen.overwrite)
    return chosen


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
    """Trains from one step to the last; returns its throughput and its weights."""
    from configs import row_lstm
    from seqvision.runs.files import read_json
    from seqvision.runs.saved_run import load_run
    from seqvision.train import train_and_evaluate

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
    status = read_json(workdir / "status.json")
    return {
        **status["throughput"],
        "seconds": status["seconds"],
        "test": status["metrics"]["test"],
        "params": load_run(workdir).params,
    }


def to_markdown(facts: Mapping[str, Any]) -> str:
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
    lines = [header, ["--:"] * len(header), *rows]
    return "\n".join(
        [
            f"# {facts['name']}",
            "",
            f"    {facts['command']}",
            "",
            f"{facts['date']}, commit {facts['commit']}. {machine_line(facts)}",
            "",
            f"jax {facts['jax']}, {facts['device']}; {facts['set']}.",
            "",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
            f"Largest difference of a weight after {facts['steps']} steps:"
            f" {facts['largest_difference']:g}.",
        ]
    )


def main(arguments: Sequence[str]) -> int:
    chosen = parse(arguments)
    prepare_host(batch_size=chosen.batch_size)
    import jax
    import numpy as np

    device = jax.devices()[0]
    version = f"{options.PYTHON_VERSION}-jax{jax.__version__}"
    on_gpu = "-gpu" * (device.platform == "gpu")
    name = chosen.name or f"streamed-{chosen.source}-{version}{on_gpu}"
    options.check_free(name, chosen.overwrite)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = make_set(folder, chosen.source, chosen.examples, chosen.side)
        cases = {
            "in memory": train(chosen, path, folder, _FOREVER),
            "streamed": train(chosen, path, folder, chosen.resident_mib * 2**20),
        }
    weights = [case.pop("params") for case in cases.values()]
    differences = jax.tree.map(lambda one, other: float(np.abs(one - other).max()), *weights)
    size = chosen.examples * chosen.side**2 * 3 / 2**20
    facts: dict[str, Any] = {
        "name": name,
        **describe_command("benchmarks.streamed"),
        "machine": describe_machine(),
        "jax": jax.__version__,
        "device": f"{jax.device_count()} x {device.device_kind}",
        "set": f"{chosen.examples:,} images, {size:,.0f} MiB as arrays, in {chosen.source}",
        "steps": chosen.steps,
        "cases": cases,
        "largest_difference": max(jax.tree.leaves(differences)),
    }
    publish(name, facts, to_markdown(facts))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, options.leave)
    sys.exit(options.run(main))
