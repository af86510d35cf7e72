"""Records of evaluations in a run's folder: all metrics of a split, and the temperature."""

from collections.abc import Mapping
from typing import Any

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.data.dataset import SPLITS
from seqvision.errors import UserError, explain_os_error
from seqvision.metrics.calibration import HIGHEST, LOWEST
from seqvision.runs.compatibility import differences
from seqvision.runs.files import write_json
from seqvision.runs.records import NUMBER, read_record
from seqvision.runs.saved_run import Run


def _name(run: Run, name: str) -> str:
    """Of a run of several seeds, each has a file of its own."""
    return f"{name}_seed_{run.seed}.json" if run.settings.num_seeds > 1 else f"{name}.json"


def evaluation_changes(run: Run, settings: Settings, split: str) -> dict[str, Any]:
    """The fields by dotted name in which an evaluation is not as the run was trained.

    These are what its examples look like and how texts are decoded; where the data lie, the size of
    a batch and what only other splits have change no figure.

    Args:
      run: a trained run.
      settings: those of the evaluation.
      split: which examples are evaluated.
    """
    others = tuple(f"{name}_" for name in SPLITS if name != split)
    now = flatten(settings)
    return {
        name: now[name]
        for name in differences(run.settings, settings)
        if name.startswith(("clips.", "lines.", "reading."))
        and not name.partition(".")[2].startswith(others)
    }


def save_evaluation(
    run: Run, split: str, report: dict[str, Any], changes: Mapping[str, Any]
) -> str:
    """Writes `evaluation_SPLIT.json`, with what was changed; returns a line about it.

    A folder that may only be read ends no evaluation: the line says so.
    """
    path = run.workdir / _name(run, f"evaluation_{split}")
    facts = {"split": split, "step": run.step, "seed": run.seed, "changes": dict(changes)}
    try:
        write_json(path, facts | report)
    except OSError as error:
        return f"{path}: not written ({error.strerror})"
    return f"all metrics written to {path}"


def save_temperature(run: Run, facts: dict[str, Any]) -> None:
    """Writes `calibration.json`.

    Raises:
      UserError: it cannot be written.
    """
    path = run.workdir / _name(run, "calibration")
    try:
        write_json(path, {"step": run.step, "seed": run.seed, "split": "validation", **facts})
    except OSError as error:
        raise UserError(explain_os_error(error, path, "--workdir")) from error


def load_temperature(run: Run) -> float:
    """The temperature that was fitted to the weights of a run.

    Raises:
      UserError: there is none, or it was fitted to other weights.
    """
    path = run.workdir / _name(run, "calibration")
    way = "calibrate it with --mode=evaluate --calibrate"
    if not path.exists():
        raise UserError(f"{run.workdir}: no temperature was fitted to this run yet; {way}")
    record = read_record(path, {"temperature": NUMBER, "step": int, "*": object})
    temperature = float(record["temperature"])
    if not 0.9 * LOWEST <= temperature <= 1.1 * HIGHEST:
        raise UserError(f"{path}: damaged (a temperature of {temperature:g}); {way}")
    if record["step"] != run.step:
        raise UserError(
            f"{path}: fitted to the weights of step {record['step']}, and those of step {run.step}"
            f" are used; {way} again"
        )
    return temperature
