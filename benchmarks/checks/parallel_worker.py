"""A process of `parallel`: main.py, then the examples that its devices were given.

    python -m benchmarks.checks.parallel_worker WORKDIR EXAMPLES [main.py's other flags]

EXAMPLES is a file for one JSON object per device: the first column of the batches that the device
takes, and the numbers of its examples, step by step.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import main as command


def write_examples(workdir: Path, path: Path) -> None:
    """Writes the examples that training's feed gives to the devices of this process.

    Args:
      workdir: of a run that ended in these processes, on these devices.
      path: the file.
    """
    from seqvision.config.step_counts import Steps
    from seqvision.data.from_config import load_dataset
    from seqvision.runs.compatibility import read_settings
    from seqvision.runtime.console import say
    from seqvision.training.replicas import Replicas
    from seqvision.training.resident import ResidentFeed

    settings = read_settings(workdir)
    split, batch_size = load_dataset(settings, say).split("train"), settings.data.batch_size
    steps, replicas = Steps.of(settings, len(split)), Replicas(settings.seeds)
    mesh = replicas.mesh(batch_size)
    feed = ResidentFeed(split, replicas, batch_size, steps.total, mesh)
    shards = [
        {"column": shard.index[1].start or 0, "rows": shard.data.tolist()}
        for shard in feed.fetch(0).indices.addressable_shards
    ]
    path.write_text(json.dumps(shards))


def main(arguments: Sequence[str]) -> int:
    workdir, examples, *flags = arguments
    # jax is imported by main.py itself, after it has read the flags.
    code = command.main(["main.py", f"--workdir={workdir}", "--report=false", *flags])
    write_examples(Path(workdir), Path(examples))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
