"""The log of a run's metrics: `metrics.jsonl` and TensorBoard's event files."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqvision.runs.event_file import EventFile
from seqvision.runs.files import CONFIG, ENVIRONMENT, METRICS, gone, write_whole
from seqvision.runs.records import read_metrics
from seqvision.runtime.processes import is_primary


class MetricsLog:
    """Appends metrics to `metrics.jsonl` and to TensorBoard's event files.

    Only the log of the primary process records anything.

    Args:
      workdir: the run's folder.
      resumed_step: rows of later steps are deleted: the resumed run records them again.
    """

    def __init__(self, workdir: Path, resumed_step: int) -> None:
        self._records = is_primary()
        if not self._records:
            return
        kept = [row for row in read_metrics(workdir) if _is_kept(row, resumed_step)]
        write_whole(workdir / METRICS, "".join(_line(row) for row in kept))
        self._workdir = workdir
        self._metrics = (workdir / METRICS).open("a")
        self._tensorboard = EventFile(workdir / "tensorboard", first_step=resumed_step + 1)

    def metrics(self, step: int, split: str, values: Mapping[str, Any], seconds: float) -> None:
        """Records one row; `seconds` is the time of the run so far, all its restarts added up."""
        if not self._records:
            return
        row = {"step": step, "split": split, **values, "seconds": round(seconds, 3)}
        self._metrics.write(_line(row))
        self._metrics.flush()
        self.scalars(step, split, {k: v for k, v in values.items() if isinstance(v, float)})

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Records values in TensorBoard only."""
        for name, value in values.items() if self._records else ():
            self._tensorboard.scalar(f"{split}/{name}", value, step)

    def sync(self) -> None:
        """Flushes all rows to the disk. Call it before a checkpoint is saved and before the end.

        Raises:
          UserError: records of the run were deleted, moved or replaced meanwhile.
        """
        if self._records:
            os.fsync(self._metrics.fileno())
            self._tensorboard.flush()
            for name in (METRICS, CONFIG, ENVIRONMENT):
                if not (self._workdir / name).exists():
                    raise gone(self._workdir, name)
            # Not by the inode: that of one file changes on some network file systems.
            if os.fstat(self._metrics.fileno()).st_nlink == 0:
                raise gone(self._workdir, METRICS)

    def close(self) -> None:
        if self._records:
            self._metrics.close()
            self._tensorboard.close()


def _is_kept(row: Mapping[str, Any], resumed_step: int) -> bool:
    # The test split is evaluated after the last checkpoint, so a resumed run evaluates it again.
    return row["step"] <= resumed_step and row["split"] != "test"


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row) + "\n"
