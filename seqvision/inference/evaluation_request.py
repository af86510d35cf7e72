"""What is asked of an evaluation besides its metrics, and what it cannot be asked for."""

import dataclasses
from pathlib import Path

from seqvision.config.data_schema import DECODING_FIELDS
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.corruptions import chosen_corruptions
from seqvision.data.dataset import SPLITS, Dataset
from seqvision.errors import UserError, did_you_mean
from seqvision.inference.corruption_table import check_layout
from seqvision.inference.decision import MEASURES, check_measure
from seqvision.inference.stream_engines import classifier_steps
from seqvision.runs.saved_run import Run, check_targets, load_run, with_decoding
from seqvision.runs.trained_data import check_comparable

_SPECIFICITY = 0.9


@dataclasses.dataclass(frozen=True)
class EvaluationRequest:
    """The flags of `--mode=evaluate`.

    Attributes:
      split_name, output, seed: see `evaluate.evaluate_run`.
      decide: `probability` or `margin`: also prints accuracy against how much was seen, and the
        threshold calibrated on the validation split, see `inference.decision_curve`.
      calibrate: also fits a temperature on the validation split and keeps it with the run, see
        `metrics.calibration`.
      bootstrap: samples for confidence intervals, see `metrics.bootstrap`; 0 for none.
      specificity: at which the sensitivity of each class is given.
      corrupt: `all`, or some of `data.corruptions.STRENGTHS` with commas between them: also prints
        the errors on corrupted examples and writes them to the workdir, see
        `inference.corruption_report`.
      reference: a trained run to compare those errors to.
    """

    split_name: str
    output: str = ""
    seed: int | None = None
    decide: str = ""
    calibrate: bool = False
    bootstrap: int = 0
    specificity: float = _SPECIFICITY
    corrupt: str = ""
    reference: str | Path = ""

    def check(self) -> None:
        """Raises UserError where it is wrong for any run."""
        if self.split_name not in SPLITS:
            raise UserError(
                f"--split: '{self.split_name}' is not known; choose one of {', '.join(SPLITS)}"
                f"{did_you_mean(self.split_name, SPLITS)}"
            )
        if not 0 < self.specificity < 1:
            raise UserError(
                f"--specificity: {self.specificity:g} is none; choose one between 0 and 1"
            )
        if self.reference and not self.corrupt:
            raise UserError(
                "--reference: it has no effect without --corrupt; leave it out or add --corrupt=all"
            )

    def check_runs(self, runs: list[Run]) -> None:
        """Raises UserError for what runs of this kind, or of several seeds, cannot follow."""
        self._check_kind(runs[0])
        if self.decide:
            self._check_decision(runs[0])
        one_seed = {
            "output": (self.output, "predictions are written"),
            "decide": (self.decide, "it is shown"),
            "corrupt": (self.corrupt, "errors are shown"),
            "calibrate": (self.calibrate, "a temperature is fitted"),
            "bootstrap": (self.bootstrap, "intervals are computed"),
            "specificity": (self.specificity != _SPECIFICITY, "sensitivity is computed"),
        }
        for flag, (asked, what) in one_seed.items():
            if asked and len(runs) > 1:
                raise UserError(
                    f"--{flag}: {runs[0].workdir} holds seeds {runs[0].seed} to {runs[-1].seed};"
                    f" {what} for one of them: choose it with --seed"
                )

    def _check_kind(self, run: Run) -> None:
        unread = {
            "calibrate": self.calibrate,
            "bootstrap": self.bootstrap,
            "specificity": self.specificity != _SPECIFICITY,
        }
        for flag, asked in unread.items():
            is_number = run.data.targets.kind == "number" and flag != "bootstrap"
            if asked and (run.task.reads_lines or is_number):
                what = "reads text" if run.task.reads_lines else "predicts numbers"
                raise UserError(
                    f"--{flag}: it has no effect on {run.workdir}, which {what}; leave it out"
                )

    def _check_decision(self, run: Run) -> None:
        if ":" in self.decide:
            raise UserError(
                f"--decide: '{self.decide}' has a threshold, and --mode=evaluate shows what each of"
                f" them gives; write --decide={' or --decide='.join(MEASURES)} (a threshold is for"
                " --mode=read)"
            )
        try:
            check_measure(self.decide)
            classifier_steps(run)
            check_targets(run, "a decision")
        except UserError as error:
            raise UserError(f"--decide: {error}") from None

    def corruptions(self, run: Run) -> tuple[str, ...]:
        """The names of the corruptions; () for none.

        Raises:
          UserError: one is not known, or the run has no steps in time.
        """
        if not self.corrupt:
            return ()
        check_layout(run)
        return chosen_corruptions(self.corrupt)

    def load_reference(self, run: Run, settings: Settings, dataset: Dataset) -> Run | None:
        """The run to compare to, if any; its lines are decoded as the config says.

        Raises:
          UserError: no trained run, or one of other classes or steps.
        """
        if not self.reference:
            return None
        try:
            compared = load_run(expanded(str(self.reference), "--reference"))
            check_layout(compared)
        except UserError as error:
            raise UserError(f"--reference: {str(error).removeprefix('--corrupt: ')}") from None
        check_comparable(compared, run, dataset)
        if not run.settings.reads_text:
            return compared
        fields = {name: getattr(settings.reading, name) for name in DECODING_FIELDS}
        return with_decoding(compared, fields)
