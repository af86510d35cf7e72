"""Which of the user's own texts cannot be said within the columns of their lines."""

from collections.abc import Iterator

import jax
import numpy as np

from seqvision.data.dataset import AnySplit
from seqvision.data.files.paths import few, shown
from seqvision.data.sources.line_images import LineSplit
from seqvision.errors import UserError
from seqvision.tasks.base import Objective, TextReading


def infeasible_lines(name: str, split: AnySplit, objective: Objective) -> Iterator[str]:
    """A line that names them, where a split of lines from files has some.

    Args:
      name: of the split, for that line.
      split: any examples.
      objective: what they are for.

    Raises:
      UserError: no text fits.
    """
    if not isinstance(split, LineSplit) or not isinstance(objective, TextReading):
        return
    texts = {field: split.arrays[field] for field in ("lengths", "labels", "label_lengths")}
    unfit = np.flatnonzero(~np.asarray(jax.jit(objective.fits)(texts)))
    names = few([shown(split.names[number]) for number in unfit])
    if len(unfit) == len(split):
        raise UserError(
            f"{name}: none of its {len(split)} texts fits the columns of its line ({names});"
            " check the texts, or raise config.data.height or config.reading.delay"
        )
    if len(unfit):
        yield (
            f"{name}: {len(unfit)} of {len(split)} texts do not fit their columns and are left out"
            f" of the loss: {names}"
        )
