"""A trained network as files for other programs, each proved equal: `--mode=export`."""

import dataclasses
import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.alphabet import Alphabet
from seqvision.data.dataset import SPLITS
from seqvision.errors import UserError, did_you_mean, explain_os_error
from seqvision.runs.files import CONFIG, STATUS
from seqvision.runs.records import read_record
from seqvision.runs.saved_run import Run, load_run
from seqvision.runs.trained_data import check_trained_with, load_trained_on
from seqvision.runtime.console import say
from seqvision.tasks.from_config import create_network, input_shape


class Exported(NamedTuple):
    """What was written.

    Attributes:
      folder: with all files.
      rows: what the check measured of each, `exporters.artefacts.Checked`; empty without a check.
    """

    folder: Path
    rows: list[Any]


def export_run(
    settings: Settings,
    workdir: Path,
    output: str,
    split: str = "test",
    seed: int | None = None,
    check: bool = True,
    int8: bool = True,
    onnxruntime_web: str | None = None,
) -> Exported:
    """Writes a folder: the network and its step as ONNX, StableHLO, `network.json`, a card.

    Args:
      settings: where the data of the check lie.
      workdir: a trained run.
      output: the folder; it must not be there yet, or be empty.
      split: the examples of the check.
      seed: of a run of several seeds, whose weights; by default those of the first.
      check: whether each file is run on the split, and refused where it is not equal.
      int8: whether to write 8-bit files too.
      onnxruntime_web: the folder of this npm package makes the folder a page, too; see
        `web.pages.write_page`.

    Returns:
      The folder, written as a whole or not at all, and the rows of the check.

    Raises:
      UserError: no run, another network than `settings` says, no extra `export`, a folder that
        holds something, or a file that is not equal.
    """
    if split not in SPLITS:
        raise UserError(
            f"--split: '{split}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(split, SPLITS)}"
        )
    target = _checked_folder(output)
    _check_installed()
    run = load_run(workdir, seed)
    if onnxruntime_web is not None:  # Refused now, not after the check.
        from seqvision.exporters.description import describe
        from seqvision.web.pages import check_shown, runtime_files, write_page

        check_shown(describe(run), str(workdir))
        runtime_files(onnxruntime_web)

    def write(folder: Path) -> list[Any]:
        rows = _write(folder, run, settings, split, check, int8)
        if onnxruntime_web is not None:
            write_page(folder, onnxruntime_web)
        return rows

    return _written(target, write)


def _write(
    folder: Path, run: Run, settings: Settings, split: str, check: bool, int8: bool
) -> list[Any]:
    """Writes all files; the rows of the check."""
    from seqvision.exporters.artefacts import artefacts, checked
    from seqvision.exporters.card import card, table
    from seqvision.exporters.check import Examples
    from seqvision.exporters.description import describe

    model = _in_float32(run)
    params = jax.tree.map(np.asarray, jax.device_get(run.params))
    shape = input_shape(run.settings, run.data.input_shape)
    facts = describe(run)
    examples, rows = None, []
    check_trained_with(run, settings)
    if check:
        read = load_trained_on(run, settings).split(split)
        alphabet = Alphabet(run.data.class_names) if run.settings.reads_text else None
        size = settings.data.eval_batch_size
        examples = Examples(model, params, read, shape, size, alphabet)
    for artefact in artefacts(model, params, shape, int8):
        say(f"{artefact.name}  {len(artefact.content):,} bytes")
        (folder / artefact.name).write_bytes(artefact.content)
        if examples is not None:
            rows.append(checked(artefact, model, examples))
    score = None if examples is None else examples.score()
    count = 0 if examples is None else len(examples)
    status = read_record(run.workdir / STATUS)
    text = card(run, facts, status, rows, score, split, count)
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "network.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n")
    shutil.copyfile(run.workdir / CONFIG, folder / CONFIG)
    if score is not None:
        metric = "cer" if facts["kind"] == "reader" else "accuracy"
        for line in table(rows, metric, score, split, count):
            say(line)
    return rows


def _in_float32(run: Run) -> Any:
    """The network with products of float32, which all engines have."""
    if run.settings.model.compute_dtype != "float32":
        say(f"trained in {run.settings.model.compute_dtype}; exported and compared in float32")
    model = dataclasses.replace(run.settings.model, compute_dtype="float32", execution="scan")
    return create_network(dataclasses.replace(run.settings, model=model), run.task)


def _check_installed() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--mode=export needs {error.name}: pip install 'seqvision[export]', then run again"
        ) from None


def _checked_folder(output: str) -> Path:
    if not output:
        raise UserError("--output: missing; name a folder to write, such as --output=exported")
    target = expanded(output, "--output")
    if target.is_dir() and not any(target.iterdir()):
        return target
    if target.exists() or target.is_symlink():
        raise UserError(
            f"--output: {target} is there already; name a folder that is not, or remove it"
        )
    if not target.parent.is_dir():
        raise UserError(f"--output: the folder {target.parent} does not exist; make it first")
    return target


def _written(target: Path, write: Callable[[Path], list[Any]]) -> Exported:
    """Writes a folder whole or not at all."""
    folder = target.with_name(f".{secrets.token_hex(16)}.incomplete")
    try:
        folder.mkdir()
        rows = write(folder)
        folder.replace(target)
    except OSError as error:
        raise UserError(explain_os_error(error, target.parent, "--output")) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Exported(target, rows)


def run(
    settings: Settings,
    workdir: Path,
    output: str,
    split: str,
    seed: int | None,
    check: bool,
    int8: bool,
    format: str,  # noqa: A002  (the name of the flag)
    onnxruntime_web: str,
) -> int:
    """`--mode=export`; returns the exit code."""
    if format not in ("onnx", "page"):
        raise UserError(f"--format: '{format}' is not known; choose onnx or page")
    if onnxruntime_web and format != "page":
        raise UserError("--onnxruntime_web: it has no effect without --format=page; add that")
    page = onnxruntime_web if format == "page" else None
    exported = export_run(settings, workdir, output, split, seed, check, int8, page)
    say(f"exported to {exported.folder}")
    return 0
