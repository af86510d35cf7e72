"""Which runs may go on with which config."""

from pathlib import Path

from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, validate
from seqvision.errors import UserError
from seqvision.runs.files import CONFIG, read_json

# A run may be resumed with other values of these: they change no weight, but for rounding.
_FREE = (
    "data.dir",
    "data.cache_dir",
    "data.path",
    "data.broken_files",
    "data.resident_bytes",
    "data.eval_batch_size",
    "reading.beam_width",
    "model.execution",
    "log_every",
    "checkpoint.every",
    "checkpoint.keep",
)


def read_settings(workdir: Path) -> Settings:
    """The config a run was started with.

    Raises:
      UserError: no run, or one of another version of seqvision.
    """
    path = workdir / CONFIG
    content = read_json(path)
    try:
        return validate(ConfigDict(content))
    except UserError as error:
        raise UserError(f"{path}: not of this version of seqvision: {error}") from None


def differences(before: Settings, now: Settings) -> dict[str, str]:
    """Each field that differs, by its name: `was 16 and is 17`."""
    old, new = flatten(before), flatten(now)
    return {key: f"was {old[key]!r} and is {new[key]!r}" for key in new if old[key] != new[key]}


def check_same_config(settings: Settings, workdir: Path) -> None:
    """Refuses to go on with a run of another config. A folder without a run is fine.

    Raises:
      UserError: names the fields that differ, other than those that change no weight.
    """
    checkpoints = workdir / "checkpoints"
    if not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        return
    if not (workdir / CONFIG).exists():
        raise UserError(
            f"{workdir}: it holds checkpoints, but no {CONFIG} that says what of; move them away,"
            " or choose another --workdir"
        )
    differing = differences(read_settings(workdir), settings)
    named = [f"{key} {text}" for key, text in differing.items() if key not in _FREE]
    if named:
        raise UserError(
            f"{workdir}: it holds a run of another config: {'; '.join(named)}; use the same"
            " config, or another --workdir (with config.init_from to start from its weights)"
        )
