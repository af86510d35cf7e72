"""A trained network as files for other programs, each proved equal: `--mode=export`."""

import dataclasses
import importlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from seqvision.config import command_line
from seqvision.config.flags import WEIGHT_FORMATS
from seqvision.config.overrides import OF_THE_RUN
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.dataset import SPLITS
from seqvision.errors import UserError, did_you_mean
from seqvision.models.parameters import named_leaves, on_host
from seqvision.runs.files import CONFIG, STATUS, write_whole
from seqvision.runs.records import read_record
from seqvision.runs.saved_run import Run, check_targets, load_run
from seqvision.runs.trained_data import load_trained_on
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
    workdir: Path,
    output: str,
    split: str = "test",
    seed: int | None = None,
    check: bool = True,
    int8: bool = True,
    onnxruntime_web: str | None = None,
    data: Mapping[str, Any] = MappingProxyType({}),
) -> Exported:
    """Writes a folder: the network and its step as ONNX, StableHLO, `network.json`, a card.

    Args:
      workdir: a trained run.
      output: the folder; it must not be there yet, or be empty.
      split: the examples of the check.
      seed: of a run of several seeds, whose weights; by default those of the first.
      check: whether each file is run on the split, and refused where it is not equal.
      int8: whether to write 8-bit files too.
      onnxruntime_web: the folder of this npm package makes the folder a page, too; see
        `web.pages.write_page`.
      data: fields of `config.data` that say where the data of the check lie, where they are not to
        be those of the run.

    Returns:
      The folder, written as a whole or not at all, and the rows of the check.

    Raises:
      UserError: no run, other data than it was trained on, no extra `export`, a folder that holds
        something, a file that onnxruntime refuses, or that is not equal.
    """
    if split not in SPLITS:
        raise UserError(
            f"--split: '{split}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(split, SPLITS)}"
        )
    _check_installed("export", "onnx", "onnxruntime")
    from seqvision.exporters.output_folder import checked_folder, write_folder

    target = checked_folder(output)
    run = load_run(workdir, seed)
    if onnxruntime_web is not None:
        check_targets(run, "the page")
    _check_exportable(run)
    settings = dataclasses.replace(
        run.settings, data=dataclasses.replace(run.settings.data, **data)
    )
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

    return Exported(target, write_folder(target, write))


def _check_exportable(run: Run) -> None:
    """Refuses networks that read features, or compute them by a pretrained backbone."""
    model = run.settings.model
    if model.backbone != "none" or model.sequence == "features":
        found = model.backbone if model.backbone != "none" else "another program"
        raise UserError(
            f"{run.workdir}: its network reads the features of {found}, and no export has these;"
            " use --mode=predict (from Python: Predictor), or export a run that reads"
            " pixels itself (config.model.backbone=none)"
        )


def _write(
    folder: Path, run: Run, settings: Settings, split: str, check: bool, int8: bool
) -> list[Any]:
    """Writes all files; the rows of the check."""
    from seqvision.exporters.artefacts import artefacts, checked
    from seqvision.exporters.card import card, table
    from seqvision.exporters.check import Examples
    from seqvision.exporters.description import describe
    from seqvision.exporters.scoring import scoring_of

    model, params = _in_float32(run), on_host(run.params)
    shape = input_shape(run.settings, run.data.input_shape)
    facts, files, rows = describe(run), [], []
    for artefact in artefacts(model, params, shape, int8):
        say(f"{artefact.name}  {len(artefact.content):,} bytes")
        (folder / artefact.name).write_bytes(artefact.content)
        files.append(artefact)
    score, count, scoring = None, 0, scoring_of(run)
    if check:
        examples_of = load_trained_on(run, settings).split(split)
        size = settings.data.eval_batch_size
        examples = Examples(model, params, examples_of, shape, size, len(files), scoring)
        rows = [checked(artefact, model, examples) for artefact in files]
        score, count = examples.score(), len(examples)
    status = read_record(run.workdir / STATUS)
    write_whole(folder / "README.md", card(run, facts, status, rows, score, split, count))
    _write_facts(folder, run, facts)
    if score is not None:
        for line in table(rows, scoring, score, split, count, facts.get("window", 0)):
            say(line)
    return rows


def export_weights(workdir: Path, output: str, form: str, seed: int | None = None) -> Path:
    """Writes a folder: the weights of a classifier, `network.json`, a card with code for them.

    The file is read back, and refused where it does not give the same bits.

    Args:
      workdir: a trained run that classifies images.
      output: the folder; it must not be there yet, or be empty.
      form: torch, keras or safetensors.
      seed: of a run of several seeds, whose weights; by default those of the first.

    Returns:
      The folder, written as a whole or not at all.

    Raises:
      UserError: no run, a network that the library has not, no extra `import`, or a folder that
        holds something.
    """
    _check_installed("import", "h5py", "safetensors")
    from seqvision.exporters.output_folder import checked_folder, write_folder
    from seqvision.exporters.weight_file import check_has_file

    target = checked_folder(output)
    run = load_run(workdir, seed)
    check_targets(run, f"--format={form}")
    _check_exportable(run)
    check_has_file(run.settings, form)
    if run.settings.model.compute_dtype != "float32":
        say(f"trained in {run.settings.model.compute_dtype}; the code of the card is in float32")
    write_folder(target, lambda folder: _write_weights(folder, run, form))
    return target


def _write_weights(folder: Path, run: Run, form: str) -> None:
    from seqvision.exporters.description import describe_whole
    from seqvision.exporters.weight_card import weight_card
    from seqvision.exporters.weight_file import FILES, write_file
    from seqvision.runs.imported import features_of
    from seqvision.weights import own_layers

    params = dict(named_leaves(on_host(run.params)))
    layers, facts = own_layers.read(params), describe_whole(run)
    features = features_of(layers, run.data.input_shape)
    path = folder / FILES[form]
    arrays = write_file(path, form, params, features)
    say(f"{path.name}  {path.stat().st_size:,} bytes; read back, the weights are the same bits")
    status = read_record(run.workdir / STATUS)
    write_whole(folder / "README.md", weight_card(run, facts, status, form, arrays, layers))
    _write_facts(folder, run, facts)


def _write_facts(folder: Path, run: Run, facts: dict[str, Any]) -> None:
    described = json.dumps(facts, indent=2, ensure_ascii=False)
    write_whole(folder / "network.json", f"{described}\n")
    shutil.copyfile(run.workdir / CONFIG, folder / CONFIG)


def _in_float32(run: Run) -> Any:
    """The network with products of float32, which all engines have."""
    if run.settings.model.compute_dtype != "float32":
        say(f"trained in {run.settings.model.compute_dtype}; exported and compared in float32")
    model = dataclasses.replace(run.settings.model, compute_dtype="float32", execution="scan")
    return create_network(dataclasses.replace(run.settings, model=model), run.task)


def _check_installed(extra: str, *modules: str) -> None:
    try:
        for name in modules:
            importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"--mode=export: {error.name} is not installed; install the extra: pip install"
            f" 'seqvision[{extra}]' (in a clone: pip install -e '.[{extra}]')"
        ) from None


def run(
    settings: Settings,
    workdir: Path,
    output: str,
    split: str,
    seed: int | None,
    check: str,
    int8: bool,
    format: str,  # noqa: A002  (the name of the flag)
    onnxruntime_web: str,
) -> int:
    """`--mode=export`, with the settings of the run; returns the exit code."""
    formats = ("onnx", "page", *WEIGHT_FORMATS)
    if format not in formats:
        raise UserError(
            f"--format: '{format}' is not known; choose one of {', '.join(formats)}"
            f"{did_you_mean(format, formats)}"
        )
    if check not in ("true", "false"):
        raise UserError(f"--check: '{check}' is not known; with --mode=export choose true or false")
    if onnxruntime_web and format != "page":
        raise UserError("--onnxruntime_web: it has no effect without --format=page; add that")
    overrides = command_line.config_overrides()
    places = [name.removeprefix("data.") for name in OF_THE_RUN["export"] if name in overrides]
    if format in WEIGHT_FORMATS:
        if places:
            raise UserError(
                f"config.data.{places[0]}: it has no effect with --format={format}, which reads no"
                " data; leave it out"
            )
        say(f"exported to {export_weights(workdir, output, format, seed)}")
        return 0
    page = onnxruntime_web if format == "page" else None
    if page:
        page = str(expanded(page, "--onnxruntime_web"))
    data = {name: getattr(settings.data, name) for name in places}
    exported = export_run(workdir, output, split, seed, check == "true", int8, page, data)
    say(f"exported to {exported.folder}")
    return 0
