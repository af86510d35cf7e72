"""What a sweep runs: the name and the settings of each run, all checked before the first begins.

No jax import here: a bad sweep ends as soon as a bad config does.
"""

import dataclasses
import hashlib
import json
import re
import runpy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.schema import Settings
from seqvision.config.validation import flatten, nest, validate
from seqvision.errors import UserError, did_you_mean, first_line

_LONGEST_NAME = 120


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """One run of a sweep.

    Attributes:
      name: of its folder, made of what it changes alone: `data.batch_size=64,seed=1`.
      overrides: what it changes, by dotted name; durations as text.
      settings: all it runs with.
    """

    name: str
    overrides: dict[str, Any]
    settings: Settings


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep that was checked.

    Attributes:
      keys: the fields that it varies, in the order of their first appearance.
      runs: in the order in which they were declared.
      metric: what the runs are compared by: accuracy, or the character error rate (cer).
    """

    keys: tuple[str, ...]
    runs: tuple[PlannedRun, ...]
    metric: str

    @property
    def higher_is_better(self) -> bool:
        return self.metric == "accuracy"


def read_sweep(path: str) -> list[Any]:
    """What `get_sweep()` in a config file (`NAME.py[:VARIANT]`) returns.

    Raises:
      UserError: there is none, or it does not return a list of runs.
    """
    file = path.partition(":")[0]
    get_sweep = runpy.run_path(file).get("get_sweep")
    if get_sweep is None:
        raise UserError(
            f"--mode=sweep: {file} has no get_sweep(); let it return runs, such as"
            " grid({'seed': [0, 1, 2]}) of seqvision.sweeps.search_space, or choose one of"
            " configs/sweeps"
        )
    try:
        sweep = get_sweep()
    except Exception as error:  # Whatever the user's Python raises.
        reason = str(error) if isinstance(error, ValueError) else first_line(error)
        raise UserError(f"get_sweep() in {file}: {reason}") from None
    if not isinstance(sweep, list) or not sweep:
        found = "an empty list" if sweep == [] else f"a {type(sweep).__name__}"
        raise UserError(
            f"get_sweep() in {file}: it returns {found}; it must return a list of runs, as grid,"
            " zipped, product and sample of seqvision.sweeps.search_space do"
        )
    return sweep


def plan_sweep(base: Settings, sweep: Sequence[Any], fixed: Collection[str] = ()) -> Plan:
    """Checks every run of a sweep and names it.

    Args:
      base: the settings that runs change.
      sweep: a dict of dotted names and values for each run.
      fixed: fields that the command line sets for all runs.

    Raises:
      UserError: one line on the first run that cannot be, or that is there twice.
    """
    fields = flatten(base)
    keys: dict[str, None] = {}
    runs: list[PlannedRun] = []
    names: dict[str, int] = {}
    numbers: dict[Settings, int] = {}
    for number, overrides in enumerate(sweep, 1):
        place = f"get_sweep(), run {number} of {len(sweep)}"
        try:
            run = _planned(fields, overrides, fixed)
        except UserError as error:
            raise UserError(f"{place}: {error}") from None
        if run.settings in numbers:
            raise UserError(
                f"{place}: it is run {numbers[run.settings]} again, {run.name}; leave one of them"
                " out"
            )
        if run.name in names:
            raise UserError(
                f"{place}: its folder would be that of run {names[run.name]}, {run.name}; choose"
                " values that differ in more than spaces"
            )
        numbers[run.settings] = names[run.name] = number
        keys |= dict.fromkeys(overrides)
        runs.append(run)
    metrics = ["cer" if run.settings.reads_text else "accuracy" for run in runs]
    if len(set(metrics)) > 1:
        raise UserError(
            "get_sweep(): some runs read text and others name what they see, which no figure"
            " compares; make two sweeps"
        )
    return Plan(tuple(keys), tuple(runs), metrics[0])


def shard_of(runs: Sequence[PlannedRun], shard: str) -> list[PlannedRun]:
    """The runs that `--sweep_shard=i/n` takes, i from 0 to n-1: every n-th one; all for ""."""
    if not shard:
        return list(runs)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard)
    if not match or not int(match[1]) < int(match[2]):
        raise UserError(
            f"--sweep_shard: '{shard}' is no share; write i/n with i from 0 to n-1, such as 0/3,"
            " 1/3 and 2/3"
        )
    return list(runs[int(match[1]) :: int(match[2])])


def _planned(fields: Mapping[str, Any], overrides: Any, fixed: Collection[str]) -> PlannedRun:
    if not isinstance(overrides, dict) or not all(isinstance(key, str) for key in overrides):
        raise UserError(f"{overrides!r} is no dict of dotted names and values")
    for key in overrides:
        if key not in fields:
            raise UserError(_unknown(key, fields))
        if key in fixed:
            raise UserError(
                f"config.{key}: the sweep varies it, and the command line sets it; leave"
                f" --config.{key} out"
            )
    settings = validate(ConfigDict(nest({**fields, **overrides})))
    # As they were understood: a 1 for a float is 1.0, '1 epoch' is '1 epochs'.
    understood = {key: flatten(settings)[key] for key in overrides}
    return PlannedRun(_name(understood), understood, settings)


def _unknown(key: str, fields: Mapping[str, Any]) -> str:
    if any(field.startswith(f"{key}.") for field in fields):
        inside = next(field for field in fields if field.startswith(f"{key}."))
        return f"config.{key}: it is a section; name one of its fields, such as '{inside}'"
    hint = did_you_mean(key, fields) or "; configs/default.py lists them"
    return f"config.{key}: no such field{hint}"


def _name(overrides: Mapping[str, Any]) -> str:
    """A folder's name that says what a run changes, in whatever order it was written."""
    exact = ",".join(f"{key}={_word(overrides[key])}" for key in sorted(overrides)) or "base"
    name = re.sub(r"[^\w.=,+-]", "-", exact, flags=re.ASCII)
    if name == exact and len(name) <= _LONGEST_NAME:
        return name
    # What was cut or replaced still tells names apart.
    content = json.dumps(overrides, sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:10]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value).replace(" ", "")
