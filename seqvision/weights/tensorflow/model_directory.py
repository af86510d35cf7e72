"""Model directory of an Estimator, and the other ways to name a checkpoint of TensorFlow."""

import re
from pathlib import Path

from seqvision.weights.refusals import reading, refused, shown
from seqvision.weights.tensorflow.table_file import is_table

_STATE = "checkpoint"
_MOST_STATE = 2**20
_LATEST = re.compile(rb'^\s*model_checkpoint_path\s*:\s*"((?:[^"\\]|\\.)*)"', re.MULTILINE)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)")
_ENDINGS = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")


def is_part(path: Path) -> bool:
    """Whether a file is called like one of a checkpoint, whatever is in it."""
    return path.name == _STATE or _ENDINGS.search(path.name) is not None


def find_prefix(path: Path) -> Path | None:
    """The prefix of the files of a checkpoint, or None where there is none.

    Args:
      path: a model directory, a SavedModel, its file `checkpoint`, `PREFIX`, or a file of it.

    Raises:
      UserError: there is one, but which, or where its files are, is not clear.
    """
    if path.is_dir():
        if (path / _STATE).is_file():
            return _latest(path)
        for folder in (path, path / "variables"):
            found = _prefixes(folder)
            if len(found) > 1:
                raise refused(
                    path,
                    f"{len(found)} checkpoints ({_listed(found)}) and no file `{_STATE}`",
                    f"name one of them, such as {folder / found[-1]}",
                )
            if found:
                return folder / found[0]
        return None
    if path.name == _STATE and path.is_file() and not _index(path).exists():
        return _latest(path.parent)
    prefix = path.with_name(_ENDINGS.sub("", path.name))
    if _index(prefix).is_file():
        return prefix
    if prefix != path:
        raise refused(_index(prefix), "missing", "copy the whole checkpoint: .index and .data-*")
    if path.is_file() and is_table(path):
        raise refused(
            path,
            "a checkpoint in the form that TensorFlow had before 0.12",
            "restore it with TensorFlow 1 and save it again with tf.train.Saver",
        )
    return None


def _index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _prefixes(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".index") for path in folder.glob("*.index"))


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return shown(", ".join(names[:3]) + more)


def _latest(folder: Path) -> Path:
    """What the file `checkpoint` names; where that is gone, the same name beside the file."""
    state = folder / _STATE
    with reading(state), state.open("rb") as file:
        match = _LATEST.search(file.read(_MOST_STATE))
    if match is None:
        raise refused(
            state, "no line `model_checkpoint_path`", "name the checkpoint itself: its .index file"
        )
    named = _ESCAPE.sub(_unescaped, match.group(1)).decode(errors="replace")
    name = re.split(r"[\\/]", named)[-1]
    candidates = [folder / named, folder / name] if "\0" not in named else []
    for prefix in candidates:
        if prefix.name and _index(prefix).is_file():
            return prefix
    found = _prefixes(folder)
    way_out = f"name one of {_listed(found)}" if found else "copy its .index and .data-* files here"
    raise refused(state, f"it names {shown(named)}, which is not there", way_out)


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match.group(1)
    if code.isdigit() and int(code, 8) < 256:
        return bytes([int(code, 8)])
    return {b"n": b"\n", b"t": b"\t", b"r": b"\r"}.get(code, code)
