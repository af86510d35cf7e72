"""What a run writes into its workdir, and the header it prints."""

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvision.runs.files import METRICS, write_whole
from seqvision.runtime.processes import is_primary


class Record:
    """Appends metrics to `tasks.metrics.jsonl` and to TensorBoard's event files.

    Args:
      workdir: the run's folder.
      resumed_step: what was recorded behind this step is dropped: it will be recorded again.
    """

    def __init__(self, workdir: Path, resumed_step: int) -> None:
        from tensorboardX import SummaryWriter

        self._workdir = workdir
        kept = [row for row in read_metrics(workdir) if _is_before(row, resumed_step)]
        write_whole(workdir / METRICS, "".join(_line(row) for row in kept))
        self._metrics = (workdir / METRICS).open("a")
        # TensorBoard forgets what an earlier, killed part of this run recorded behind this step.
        self._tensorboard = SummaryWriter(str(workdir / "tensorboard"), purge_step=resumed_step + 1)

    def metrics(self, step: int, split: str, values: Mapping[str, Any], seconds: float) -> None:
        """Records one row; `seconds` is the time this run has taken so far, restarts included."""
        row = {"step": step, "split": split, **values, "seconds": round(seconds, 3)}
        self._metrics.write(_line(row))
        self._metrics.flush()
        self.scalars(step, split, {k: v for k, v in values.items() if isinstance(v, float)})

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records values for TensorBoard alone."""
        for name, value in values.items():
            self._tensorboard.add_scalar(f"{split}/{name}", value, step)

    def sync(self) -> None:
        """Returns when all rows are on the disk: before the checkpoint that counts on them."""
        os.fsync(self._metrics.fileno())
        self._tensorboard.flush()

    def close(self) -> None:
        self._metrics.close()
        self._tensorboard.close()


class NoRecord(Record):
    """That of the processes that are not the first: they record nothing."""

    def __init__(self) -> None:
        pass

    def metrics(self, *_: Any) -> None:
        pass

    def scalars(self, *_: Any) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def open_record(workdir: Path, resumed_step: int) -> Record:
    """See `Record`."""
    return Record(workdir, resumed_step) if is_primary() else NoRecord()


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The rows of `tasks.metrics.jsonl`; a last line cut short by a kill is left out."""
    path = workdir / METRICS
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def _is_before(row: Mapping[str, Any], resumed_step: int) -> bool:
    # The test split is evaluated after the last checkpoint, so a resumed run does it again.
    return row["step"] <= resumed_step and row["split"] != "test"


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"
