"""Records of a run, with the types of their fields checked: `status.json`, `metrics.jsonl`, ..."""

import json
import os
from pathlib import Path
from typing import Any

from seqvision.errors import UserError, explain_os_error
from seqvision.runs.files import METRICS, STATUS
from seqvision.runtime.regular_file import read_regular

NUMBER = (int, float)
_EACH = {"std?": {"*": NUMBER}, "each?": {"*": [NUMBER]}, "*": (*NUMBER, type(None))}
_STATUS = {"status": str, "step": int, "seconds?": NUMBER, "metrics?": {"*": _EACH}, "*": object}
_ROW = {"step": int, "split": str, "seconds": NUMBER, **_EACH}
STATUSES = ("running", "done", "diverged", "interrupted")


def read_record(path: Path, shape: Any = dict) -> Any:
    """Reads a JSON file of a run.

    Args:
      path: the file.
      shape: see `mismatch`.

    Raises:
      UserError: it is missing, unreadable, not JSON or of another shape.
    """
    try:
        return _parsed(read_regular(path), shape)
    except FileNotFoundError:
        raise UserError(
            f"{path.parent}: no run here ({path.name} is missing); train it first, or name"
            " another folder"
        ) from None
    except OSError as error:
        raise UserError(explain_os_error(error, path, "--workdir")) from None
    except ValueError as error:
        raise UserError(
            f"{path}: damaged ({error}); restore it, or train in another --workdir"
        ) from None


def _parsed(content: bytes, shape: Any) -> Any:
    try:
        value = json.loads(content.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    problem = mismatch(value, shape)
    if problem:
        raise ValueError(problem)
    return value


def read_status(workdir: Path) -> dict[str, Any] | None:
    """The content of `status.json`; None where there is none.

    Raises:
      UserError: it is damaged.
    """
    path = workdir / STATUS
    if not os.path.lexists(path):
        return None
    status = read_record(path, _STATUS)
    is_whole = status["status"] != "done" or "metrics" in status
    if status["status"] not in STATUSES or not is_whole:
        found = f"'status' is {status['status']!r}" if is_whole else "'metrics' is missing"
        raise UserError(f"{path}: damaged ({found}); restore it, or train in another --workdir")
    return status


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """Reads the rows of `metrics.jsonl`; a last line cut short by a kill is left out.

    Raises:
      UserError: another line is damaged.
    """
    path = workdir / METRICS
    try:
        *lines, last = read_regular(path).split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(explain_os_error(error, path, "--workdir")) from None
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(_parsed(line, _ROW))
        except ValueError as error:
            raise UserError(
                f"{path}: line {number} is damaged ({error}); restore it, or delete that line and"
                " run again"
            ) from None
    try:
        return [*rows, _parsed(last, _ROW)]
    except ValueError:  # Nothing, or cut short.
        return rows


def mismatch(value: Any, shape: Any, name: str = "it") -> str:
    """What in a JSON value is of another shape; "" where nothing is.

    Args:
      value: as `json` reads it.
      shape: a type, or several; `[shape]` for a list; for an object a dict of the shapes of its
        fields, `name?` where it may be missing and `*` for all that are not named.
      name: of the value, for the text.
    """
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            return f"{name} is {_kind(value)}, and an object is needed"
        named = {key.removesuffix("?"): one for key, one in shape.items()}
        missing = [key for key in shape if not key.endswith(("?", "*")) and key not in value]
        if missing:
            return f"'{missing[0]}' is missing"
        problems = (
            mismatch(part, named.get(key, named.get("*", object)), f"'{key}'")
            for key, part in value.items()
        )
        return next(filter(None, problems), "")
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{name} is {_kind(value)}, and a list is needed"
        return next(
            filter(None, (mismatch(part, shape[0], f"a part of {name}") for part in value)), ""
        )
    kinds = shape if isinstance(shape, tuple) else (shape,)
    fits = isinstance(value, kinds) and not (isinstance(value, bool) and object not in kinds)
    return "" if fits else f"{name} is {_kind(value)}, and {_allowed(kinds)} is needed"


_KINDS = {dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), json.dumps(value))


def _allowed(kinds: tuple[type, ...]) -> str:
    return "a number" if float in kinds else _KINDS[kinds[0]]
