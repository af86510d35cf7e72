"""Overrides on the command line without effect: in this mode, or with the rest of the config."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from seqvision.config.data_schema import DECODING_FIELDS, LINE_SOURCES, MADE_SOURCES, PATHS
from seqvision.config.durations import Duration, describe
from seqvision.config.model_schema import CNN_SEQUENCES
from seqvision.config.schema import Settings
from seqvision.errors import UserError

# Sources that take a set by its TFDS name, and where TFDS keeps it.
_NAMED = ("tfds", *MADE_SOURCES)
_STREAMED = ("tfds", "npz", "folders", "idx")
_OF_LARGE = f"config.data.source of {', '.join(_STREAMED)}"
_LINES = f"config.data.source of {' or '.join(LINE_SOURCES)}"
_OWN = f"config.data.source of {', '.join(PATHS)}"
_OF_TFDS = f"config.data.source of {', '.join(_NAMED)} (but for config.clips.task=shell)"
_SHELL = "config.data.source=moving_digits and config.clips.task=shell"
_DIGITS = "config.data.source=moving_digits and a config.clips.task other than shell"

_DATA = ("data.dir", "data.cache_dir", "data.path", "data.eval_batch_size")

# Modes that take the settings of a finished run, and the fields that they read beside these.
OF_THE_RUN = {
    "predict": tuple(f"reading.{name}" for name in DECODING_FIELDS),
    "read": (),
    "serve": (),
    # Where the data lie that they look at.
    "export": _DATA,
    "report": _DATA,
}

# Field or section, whether it has an effect, and what gives it one. The first row that fits counts.
# A config file may well hold such fields: they are there for its other variants.
_READ: list[tuple[str, Callable[[Settings], bool], str]] = [
    *(
        (f"clips.{name}", lambda s: s.makes_shell_games, _SHELL)
        for name in ("cups", "swaps", "train_swaps", "train_min_swaps", "frames_per_swap")
    ),
    *(
        (f"clips.{name}", lambda s: s.makes_clips_of_digits, _DIGITS)
        for name in ("num_frames", "min_frames", "digit_size", "speed", "turn")
    ),
    ("clips", lambda s: s.data.source == "moving_digits", "config.data.source=moving_digits"),
    ("lines.width", lambda s: s.data.source in LINE_SOURCES, _LINES),
    ("lines.invert", lambda s: s.data.source == "lines", "config.data.source=lines"),
    ("lines", lambda s: s.data.source == "digit_lines", "config.data.source=digit_lines"),
    ("reading", lambda s: s.reads_text, _LINES),
    *(
        (f"data.{name}", lambda s: s.data.source in _NAMED and not s.makes_shell_games, _OF_TFDS)
        for name in ("name", "dir", "validation_examples")
    ),
    ("data.resident_bytes", lambda s: s.data.source in _STREAMED, _OF_LARGE),
    ("data.validation_fraction", lambda s: s.data.source in PATHS, _OWN),
    ("data.test_fraction", lambda s: s.data.source in PATHS, _OWN),
    ("model.patch_size", lambda s: s.model.sequence == "patches", "config.model.sequence=patches"),
    (
        "model.cnn_channels",
        lambda s: s.model.sequence in CNN_SEQUENCES and s.model.backbone == "none",
        f"config.model.sequence of {', '.join(CNN_SEQUENCES)} and config.model.backbone of none",
    ),
    (
        "optimizer.backbone_scale",
        lambda s: s.model.backbone_trainable != "none",
        "config.model.backbone_trainable",
    ),
    (
        "data.feature_cache_bytes",
        lambda s: s.model.computes_features_once,
        "config.model.backbone, frozen",
    ),
    ("schedule.start_fraction", lambda s: s.schedule.warmup.amount > 0, "config.schedule.warmup"),
    (
        "schedule.final_fraction",
        lambda s: s.schedule.name != "constant",
        "config.schedule.name=cosine or one_cycle",
    ),
]


def check_mode(mode: str, given: Mapping[str, Any], workdir: Path) -> None:
    """Checks that what the command line sets is read by a mode.

    What the run was trained with may be repeated. Where its record is damaged nothing is checked:
    the mode itself reads it and says so.

    Args:
      mode: one of OF_THE_RUN.
      given: what the command line sets, by dotted name, be it what the config file has as well.
      workdir: of the run that `predict` and `read` take.

    Raises:
      UserError: one of them has no effect, or is not what the run has.
    """
    allowed = OF_THE_RUN[mode]
    record = _record(workdir)
    if record is None:
        return
    may = f"{', '.join(f'config.{name}' for name in allowed)} may be set" if allowed else ""
    for name, value in given.items():
        kept = _field(record, name)
        if name in allowed or _plain(value) == _plain(kept):
            continue
        found = f"it has no effect with --mode={mode}, which"
        if kept is not None:
            found = f"{value!r} differs from the run's {kept!r}, and --mode={mode}"
        raise UserError(
            f"--config.{name}: {found} takes the config of the run in --workdir; leave it"
            f" out{may and f' ({may})'}"
        )


def _record(workdir: Path) -> dict[str, Any] | None:
    """The config of a run; {} where there is no run, None where it is damaged."""
    path = workdir / "config.json"
    if not os.path.lexists(path):
        return {}
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else None
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _field(record: Any, name: str) -> Any:
    """The value of a field in the config of a run; None where it has none."""
    for part in name.split("."):
        record = record.get(part) if isinstance(record, dict) else None
    return record


def _plain(value: Any) -> Any:
    """A value as JSON has it, and a duration (`never`, `1 epoch`) as it is written down."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return describe(Duration.parse(value))
    return list(value) if isinstance(value, tuple) else value


def check_overrides(settings: Settings, names: Iterable[str]) -> None:
    """Checks that what the command line sets is read with the rest of the config.

    Args:
      settings: the config with its overrides.
      names: the overridden fields, dotted.

    Raises:
      UserError: one of them has no effect.
    """
    for name in names:
        if needed := needed_by(settings, name):
            raise UserError(
                f"--config.{name}: it has no effect without {needed}; leave it out, or set that as"
                " well"
            )


def needed_by(settings: Settings, name: str) -> str:
    """What gives a field, by its dotted name, an effect that it does not have; "" where it has."""
    for prefix, is_read, needed in _READ:
        if name == prefix or name.startswith(f"{prefix}."):
            return "" if is_read(settings) else needed
    return ""
