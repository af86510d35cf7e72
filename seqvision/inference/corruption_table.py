"""The table of a network's errors under corruptions, and the mean corruption error."""

import dataclasses
import statistics
from collections.abc import Mapping

from seqvision.data.corrupted_split import CorruptedSplit, Corruptions
from seqvision.data.corruptions import STRENGTHS
from seqvision.data.dataset import Split
from seqvision.data.step_layout import StepLayout
from seqvision.errors import UserError
from seqvision.runs.saved_run import Run
from seqvision.runtime.mesh import create_mesh
from seqvision.runtime.progress import Progress
from seqvision.tasks.base import Metrics

# The same for every run, so that their figures can be compared.
SEED = 0


@dataclasses.dataclass(frozen=True)
class CorruptionTable:
    """Errors of a run, 0 to 1: the fraction of wrong classes; of lines, the CER.

    Attributes:
      clean: without corruption.
      errors: by corruption, for each of its `data.corruptions.STRENGTHS`.
    """

    clean: float
    errors: Mapping[str, tuple[float, ...]]

    def mean(self, name: str) -> float:
        """Over the strengths of a corruption."""
        return statistics.fmean(self.errors[name])

    @property
    def mean_error(self) -> float:
        """Over all corruptions and strengths."""
        return statistics.fmean(map(self.mean, self.errors))


def check_layout(run: Run) -> StepLayout:
    """Where the time steps of a run's network lie.

    Raises:
      UserError: it reads all of an image as one step, or features instead of pictures; or it
        predicts frames, which corruptions move, or numbers, which are not right or wrong.
    """
    if run.data.targets.kind in ("steps", "number") and not run.task.reads_lines:
        raise UserError(
            f"--corrupt: {run.workdir} predicts {run.task.outputs}, and corruptions are for runs"
            " that choose classes or labels of a whole image or clip; leave it out"
        )
    model, sequence = run.settings.model, run.settings.model.sequence
    if model.computes_features_once or sequence == "features":
        whose = f"of a frozen {model.backbone}" if model.backbone != "none" else "of other tools"
        raise UserError(
            f"--corrupt: {run.workdir} reads features {whose}, and corruptions are of pictures;"
            " choose a run with a CNN of its own (config.model.backbone=none), or one whose"
            " backbone learns (config.model.backbone_trainable)"
        )
    if sequence == "cnn":
        raise UserError(
            f"--corrupt: {run.workdir} reads all of an image as one time step"
            " (config.model.sequence=cnn), so no steps can be lost or moved; choose a run that"
            " reads rows, columns, pixels, patches, cnn_rows or frames"
        )
    return StepLayout(sequence, model.patch_size)


def error_of(metrics: Metrics) -> float:
    """The fraction of wrong classes; of lines, the CER."""
    row = metrics.row()
    return float(row["cer"] if "cer" in row else 1 - row["accuracy"])


def corruption_table(
    run: Run,
    split: Split,
    names: tuple[str, ...],
    batch_size: int,
    progress: Progress,
    clean: Metrics | None = None,
) -> CorruptionTable:
    """Evaluates a run on each corruption of a split.

    Args:
      run: a trained run.
      split: examples of the kind it was trained on.
      names: some of `data.corruptions.STRENGTHS`.
      batch_size: the most examples in one step.
      progress: each call is one pass.
      clean: the run's metrics on the split as it is, where they are known.

    Raises:
      UserError: see `check_layout`.
    """
    mesh, layout = create_mesh(), check_layout(run)
    corruptions = Corruptions(layout, names, SEED, run.settings.model.cnn_per_frame)
    if clean is None:
        evaluate = run.task.create_evaluation(run.model, mesh, split.take, batch_size)
        clean = evaluate(run.params, split)
    corrupted = CorruptedSplit(split, corruptions, mesh)
    evaluate = run.task.create_evaluation(run.model, mesh, corrupted.take, batch_size)
    conditions = [(name, strength) for name in names for strength in STRENGTHS[name]]
    errors: dict[str, tuple[float, ...]] = dict.fromkeys(names, ())
    for name, strength in progress.over(conditions, str(run.workdir)):
        error = error_of(evaluate(run.params, corrupted.at(name, strength)))
        errors[name] = (*errors[name], error)
    return CorruptionTable(error_of(clean), errors)


def corruption_errors(
    table: CorruptionTable, reference: CorruptionTable
) -> tuple[dict[str, float | None], float | None]:
    """The corruption errors CE and their mean, mCE, of Hendrycks and Dietterich (2019).

    CE_c = sum over strengths s of E_{s,c} / sum over s of E_{s,c} of the reference; mCE is the mean
    of CE_c over the corruptions c. 1 is as many errors as the reference makes. arXiv 1903.12261,
    section 4.2; theirs has five strengths.

    Returns:
      CE by corruption, None where the reference makes no error; mCE, None where one of them is.
    """
    each: dict[str, float | None] = {}
    for name in table.errors:
        divisor = reference.mean(name)
        each[name] = table.mean(name) / divisor if divisor else None
    known = [value for value in each.values() if value is not None]
    return each, statistics.fmean(known) if len(known) == len(each) else None
