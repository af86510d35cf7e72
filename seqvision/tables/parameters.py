"""The number of parameters of a run's network."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path

import jax

from seqvision.errors import UserError
from seqvision.runs.saved_run import load_run


def count_parameters(workdirs: Sequence[Path]) -> int | None:
    """Of the first of these runs that has saved any; None where none has.

    Args:
      workdirs: of runs of one network.
    """
    for workdir in workdirs:
        if not (workdir / "checkpoints").is_dir():
            continue
        with contextlib.suppress(UserError), contextlib.redirect_stdout(io.StringIO()):
            return sum(array.size for array in jax.tree.leaves(load_run(workdir).params))
    return None
