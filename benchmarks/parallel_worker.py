"""main.py as a process of `parallel`: notes which examples its devices are given, and dies on time.

`NOTES` names a file for one JSON object per device and call: the first step, the first column of
the batch that the device takes, and the numbers of its examples, row by row. At the step `KILL_AT`
the process kills itself.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import main


def note_examples(notes: Path, kill_at: int) -> None:
    """Makes every call of the training steps write down what it is given."""
    from seqvision.training.resident import ResidentSteps

    arguments = ResidentSteps._arguments

    def arguments_noted(self: Any, state: Any, indices: Any, num_steps: int) -> Any:
        step = int(state.step)
        if 0 <= kill_at <= step:
            os.kill(os.getpid(), signal.SIGKILL)
        with notes.open("a") as file:
            for shard in indices.addressable_shards:
                rows = shard.data[:num_steps].tolist()
                column = shard.index[1].start or 0
                file.write(json.dumps({"step": step, "column": column, "rows": rows}) + "\n")
        return arguments(self, state, indices, num_steps)

    ResidentSteps._arguments = arguments_noted  # type: ignore[method-assign]


def run() -> int:
    # jax is imported by main() itself, after it has read the flags.
    listen = main._listen

    def listen_and_note() -> None:
        note_examples(Path(os.environ["NOTES"]), int(os.environ["KILL_AT"]))
        listen()

    main._listen = listen_and_note
    return main.main(["main.py", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(run())
