"""Checks that a trained run can do what is asked of it."""

from pathlib import Path

from seqvision.config.schema import Settings
from seqvision.errors import UserError


def check_classifies(settings: Settings, workdir: str | Path) -> None:
    """Raises UserError where the run reads lines of writing."""
    if settings.reads_text:
        raise UserError(
            f"{workdir}: this run reads text and knows no classes; choose a run trained on"
            " images or clips, or --mode=predict (from Python: Transcriber)"
        )


def check_transcribes(settings: Settings, workdir: str | Path) -> None:
    """Raises UserError where the run classifies images or clips."""
    if not settings.reads_text:
        raise UserError(
            f"{workdir}: this run classifies images or clips and reads no text; choose a run"
            " trained on lines of writing, or --mode=predict (from Python: Predictor)"
        )


def check_reads_live(settings: Settings, workdir: str | Path) -> None:
    """Raises UserError where the run reads no text, or only whole lines."""
    check_transcribes(settings, workdir)
    if settings.model.bidirectional:
        raise UserError(
            f"{workdir}: this run reads in both directions and needs the whole line; choose a run"
            " with config.model.bidirectional=False, or --mode=predict (from Python: Transcriber)"
        )
