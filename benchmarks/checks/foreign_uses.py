"""What is done with a foreign file, and how its outcome is told."""

import contextlib
import functools
import io
import os
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.checks import foreign_reference as reference
from benchmarks.checks.foreign_cases import LINE_HEIGHT, SIDE, Case, drawn
from benchmarks.checks.foreign_pictures import saved
from configs import default
from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import Dataset
from seqvision.data.files.line_ink import inked_line
from seqvision.data.from_config import load_dataset
from seqvision.data.sources.line_reading import scaled
from seqvision.errors import UserError
from seqvision.inference.inputs import Input

SECONDS = 5.0
MOST_BYTES = 2**30


class Outcome(NamedTuple):
    """`answer`, `refused` or `failed`, and the line that refuses it, or what is wrong."""

    result: str
    words: str


class _TooLongError(BaseException):
    """Not to be caught by what is checked."""


def outcome_of(action: Callable[[], str]) -> Outcome:
    """Runs something.

    Args:
      action: returns what is wrong with its answer, "" where nothing is; raises UserError with the
        line that refuses it.
    """
    started, before = time.perf_counter(), _memory(reset=True)
    with _stderr() as written:
        try:
            with _limit(), contextlib.redirect_stdout(io.StringIO()):
                wrong = action()
            result = Outcome("failed", wrong) if wrong else Outcome("answer", "")
        except UserError as error:
            words = str(error)
            is_line = words.isprintable() and words.strip() == words != ""
            result = Outcome("refused" if is_line else "failed", words)
        except _TooLongError:
            result = Outcome("failed", f"more than {SECONDS:g} s")
        except Exception as error:
            result = Outcome("failed", f"{type(error).__name__}: {error}")
    if (seconds := time.perf_counter() - started) > SECONDS:
        result = Outcome("failed", f"{seconds:.1f} s")
    if (grown := _memory() - before) > MOST_BYTES:
        result = Outcome("failed", f"{grown / 2**20:.0f} MiB")
    if words := "".join(written).strip():
        result = Outcome("failed", f"on stderr: {words[:300]}")
    return result


def judged(case: Case, outcome: Outcome) -> Outcome:
    """The outcome, where the right answer to a case is known: it is not to be refused."""
    if outcome.result == "refused" and case.known is not None:
        return Outcome("failed", f"refused: {outcome.words}")
    return outcome


@contextlib.contextmanager
def _limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _stderr() -> Iterator[list[str]]:
    """What is written to stderr in this block, by C libraries too; filled at its end."""
    sys.stderr.flush()
    written: list[str] = []
    kept = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        os.dup2(file.fileno(), 2)
        before = sys.stderr
        sys.stderr = file
        try:
            with warnings.catch_warnings():
                for kind in (UserWarning, RuntimeWarning):
                    warnings.simplefilter("always", kind)
                yield written
        finally:
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            written.append(file.read())


def _memory(reset: bool = False) -> int:
    """Bytes of this process: those that it has after a reset, else the most since then."""
    if not Path("/proc/self/clear_refs").exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    rows = Path("/proc/self/status").read_text().splitlines()
    [size] = [row.split()[1] for row in rows if row.startswith("VmHWM")]
    return int(size) * 1024


# --- training ---


def in_training(case: Case, folder: Path) -> Outcome:
    """Loads a set with the case in it, as training does."""
    alone = case.use in ("npz", "set")
    place = folder if alone else folder / "set" / ("images" if case.use == "line" else "a")
    place.mkdir(parents=True, exist_ok=True)
    path = case.write(place)
    root = path if alone else folder / "set"
    if not alone:
        _add_companions(case.use, root, path)
    settings = settings_for(case, root, folder / "cache")
    load = functools.partial(load_dataset, settings, lambda _: None)
    return judged(case, outcome_of(lambda: _wrong_set(case, path, load())))


def _add_companions(use: str, root: Path, path: Path) -> None:
    picture = Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE))
    if use == "line":
        rows = f"{path.name}\tab ba\n0000.png\tab\n"
        (root / "labels.tsv").write_text(rows)
        line = np.pad(np.full((8, 8), 255, np.uint8), 4)
        (root / "images/0000.png").write_bytes(saved(Image.fromarray(line)))
        return
    (root / "b").mkdir()
    if use == "clip":
        more: dict[str, Any] = {"save_all": True, "append_images": [picture.rotate(90)]}
        (root / "b/0.gif").write_bytes(saved(picture, "gif", **more))
    else:
        (root / "b/0.png").write_bytes(saved(picture))


def settings_for(case: Case, path: Path, cache: Path) -> Settings:
    """The config of a run on a case."""
    config = default.get_config()
    source = {"npz": "npz", "line": "lines"}.get(case.use, "folders")
    fields = {"data.source": source} | case.fields
    config.update_from_flattened_dict(
        {
            "data.path": str(path),
            "data.cache_dir": str(cache),
            "data.validation_fraction": 0.0,
            "data.test_fraction": 0.0,
            "data.batch_size": 2,
            **fields,
        }
    )
    if fields["data.source"] == "lines":
        config.data.height = LINE_HEIGHT
        config.model.sequence, config.model.readout = "columns", "per_step"
    elif fields["data.source"] == "folders":
        config.data.height, config.data.width, config.data.channels = SIDE, SIDE, 1
        config.model.sequence = "frames" if case.use == "clip" else "rows"
    return validate(config)


def _wrong_set(case: Case, path: Path, dataset: Dataset) -> str:
    """What is wrong with a set that was loaded."""
    train = dataset.split("train")
    arrays = train.read(np.arange(len(train), dtype=np.int32))
    inputs = arrays["inputs"][..., 0]
    if case.use in ("picture", "clip"):
        # Class `a` comes first.
        own = inputs[0][: arrays["lengths"][0]] if case.use == "clip" else inputs[:1]
        return wrong_frames(case, path, own)
    if case.use == "line":
        return _wrong_line(case, path, inputs[0][:, : arrays["lengths"][0]])
    if case.fields.get("data.source") == "folders":
        sizes = {name: len(split) for name, split in dataset.splits.items()}
        found = (dataset.class_names, sizes)
        return _differs(case, found, found == case.known)
    if case.fields.get("data.source") == "lines":
        return _wrong_texts(case, path, dataset, arrays)
    is_npz = case.use == "npz"
    known = case.known or (reference.arrays_of if is_npz else reference.idx_arrays)(path)
    if known is None:
        return "read what numpy does not read"
    images, labels = (np.asarray(array) for array in known)
    same = (
        inputs.shape == images.reshape(inputs.shape).shape
        and (inputs == images.reshape(inputs.shape)).all()
    )
    if labels.dtype.kind in "iub":
        first = int(labels.min() == 1)
        same = same and (arrays["labels"] == labels.reshape(-1).astype(int) - first).all()
    return "" if same else "other images or labels"


def _wrong_texts(case: Case, path: Path, dataset: Dataset, arrays: dict[str, np.ndarray]) -> str:
    found = [
        "".join(dataset.class_names[number - 1] for number in row[:length])
        for row, length in zip(arrays["labels"], arrays["label_lengths"], strict=True)
    ]
    if case.known is not None:
        if found != list(case.known):
            return f"texts {found}"
        lines = zip(found, arrays["inputs"], arrays["lengths"], strict=True)
        same = all(np.array_equal(line[:, :n, 0], drawn(text)) for text, line, n in lines)
        return "" if same else "other pixels"
    if (path / "labels.tsv").exists() and case.name[-1].isdigit():
        expected = reference.table_texts(path / "labels.tsv")
        return "" if found == expected else f"texts {found}, not {expected}"
    if case.kind == "gt.txt":
        return _wrong_line(case, path / "0.png", arrays["inputs"][0][:, : arrays["lengths"][0], 0])
    return ""


# --- pixels ---


def wrong_frames(case: Case, path: Path, found: np.ndarray) -> str:
    """What is wrong with the frames (T, SIDE, SIDE) that were read of a picture or a clip."""
    if case.known is not None:
        known = np.asarray(case.known)
        frames = known if case.use == "clip" else known[None]
        expected = np.stack([reference.grey_of(frame) for frame in frames])
    else:
        decoded = reference.frames_of(path)
        if decoded is None:
            return "" if _is_not_plain(path) else "read what its library does not decode"
        expected = decoded
    return "" if np.array_equal(found, expected) else "other pixels"


def _is_not_plain(path: Path) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as opened:
            opened.load()
            return opened.mode[0] in "IF" or opened.has_transparency_data
    except Exception:
        return False


def _wrong_line(case: Case, path: Path, found: np.ndarray) -> str:
    if case.known is not None:
        return "" if np.array_equal(found, case.known) else "other pixels"
    picture = reference.picture_of(path)
    if picture is None:
        return "" if _is_not_plain(path) else "read what its library does not decode"
    expected = scaled(inked_line(Image.fromarray(picture)).pixels, LINE_HEIGHT)[..., 0]
    return "" if np.array_equal(found, expected) else "other pixels"


def wrong_input(case: Case, path: Path, given: list[Input]) -> str:
    """What is wrong with what prediction or reading made of a file.

    Raises:
      UserError: it was refused, with the line of its row.
    """
    errors = [one.error for one in given if one.error]
    if errors:
        raise UserError(errors[0])
    arrays = [one.array for one in given if one.array is not None]
    if case.use == "npz":
        images = case.known[0] if case.known else reference.images_of(path)
        if images is None:
            return "read what numpy does not read"
        same = np.array_equal(np.stack(arrays)[: len(images), ..., 0], _plain(images))
        return "" if same else "other images"
    [array] = arrays
    if case.use == "line":
        return _wrong_line(case, path, array[..., 0])
    return wrong_frames(case, path, array[..., 0] if case.use == "clip" else array[None, ..., 0])


def _plain(images: np.ndarray) -> np.ndarray:
    return images[..., 0] if images.ndim == 4 else images


def _differs(case: Case, found: Any, same: bool) -> str:
    return "" if case.known is None or same else f"{found}, not {case.known}"
