"""Compatibility of a run with a config: a run is resumed with the config it began with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.data_schema import DECODING_FIELDS
from seqvision.config.overrides import needed_by
from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, validate, with_defaults
from seqvision.errors import UserError
from seqvision.runs.files import CONFIG
from seqvision.runs.records import read_record

# Fields that may differ when a run resumes: they change no weight, except by rounding.
_FREE = (
    "data.dir",
    "data.cache_dir",
    "data.path",
    "data.broken_files",
    "data.resident_bytes",
    "data.feature_cache_bytes",
    # Its content is among the fingerprints.
    "model.backbone_weights",
    "data.eval_batch_size",
    *(f"reading.{name}" for name in DECODING_FIELDS),
    # Where these matter, they change the fingerprints of the data.
    "data.value_range",
    "data.group_pattern",
    "data.paper",
    "lines.invert",
    "reading.direction",
    "model.execution",
    "log_every",
    "checkpoint.every",
    "checkpoint.keep",
)

# Fields that older runs lack; a test reads the config of an old one. They did what the defaults
# do, but for `_as_it_was` and, of deep and transparent pictures, of which each file had tones of
# its own.
_NEWER = (
    *(f"clips.{name}" for name in ("cups", "swaps", "train_swaps", "train_min_swaps")),
    "clips.frames_per_swap",
    "data.target",
    "data.balanced_draws",
    "loss.steps",
    "loss.class_weights",
    "checkpoint.best_metric",
    "data.value_range",
    "data.group_pattern",
    "data.paper",
    "lines.invert",
    "lines.train_min_symbols",
    "reading.direction",
    "reading.prior",
    "reading.prior_weight",
    "model.cnn_padding",
    "model.cnn_per_frame",
    "model.backbone",
    "model.backbone_weights",
    "model.backbone_trainable",
    "data.feature_cache_bytes",
    "optimizer.backbone_scale",
)


def read_settings(workdir: Path) -> Settings:
    """Reads the config that a run was started with.

    Raises:
      UserError: there is no run, or it is from another version of seqvision.
    """
    path = workdir / CONFIG
    content = _as_it_was(read_record(path, dict))
    try:
        return validate(ConfigDict(with_defaults(content, _NEWER)))
    except (UserError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not of this version of seqvision: {error}") from None


def _as_it_was(content: Any) -> Any:
    """Runs that lack `reading.direction` learnt their own texts as these were typed."""
    if not isinstance(content, Mapping):
        return content
    data, reading = content.get("data"), content.get("reading")
    if not isinstance(data, Mapping) or not isinstance(reading, Mapping):
        return content
    typed = {"direction": "as_typed"} if data.get("source") == "lines" else {}
    return {**content, "reading": typed | dict(reading)}


def differences(before: Settings, now: Settings) -> dict[str, str]:
    """Describes each field that differs, by its name: `was 16 and is 17`.

    Left out are fields that have no effect in either config: older runs may hold such ones, and the
    command line refuses them.
    """
    old, new = flatten(before), flatten(now)
    return {
        key: f"was {old[key]!r} and is {new[key]!r}"
        for key in new
        if old[key] != new[key] and not (needed_by(before, key) and needed_by(now, key))
    }


def check_same_config(settings: Settings, workdir: Path) -> None:
    """Refuses to resume a run with another config; a folder without checkpoints passes.

    Raises:
      UserError: fields that change the weights differ, or the config of the run is missing.
    """
    checkpoints = workdir / "checkpoints"
    if not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        return
    if not (workdir / CONFIG).exists():
        raise UserError(
            f"{workdir}: it holds checkpoints, but no {CONFIG} that describes them; move them away,"
            " or choose another --workdir"
        )
    differing = differences(read_settings(workdir), settings)
    named = [f"{key} {text}" for key, text in differing.items() if key not in _FREE]
    if named:
        raise UserError(
            f"{workdir}: it holds a run of another config: {'; '.join(named)}; use the same"
            " config, or another --workdir (with config.init_from to start from its weights)"
        )
