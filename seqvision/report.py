"""A page to look at: one HTML file about a run, or about several side by side: `--mode=report`."""

# The command line is imported by the mode alone: a notebook has another.

import contextlib
import dataclasses
import glob
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from seqvision.config.overrides import OF_THE_RUN
from seqvision.config.schema import Settings
from seqvision.config.user_path import expanded
from seqvision.data.dataset import SPLITS
from seqvision.errors import UserError, did_you_mean, explain_os_error, first_line
from seqvision.runs.compatibility import read_settings
from seqvision.runs.files import CONFIG, STATUS
from seqvision.runs.saved_run import load_run
from seqvision.runs.trained_data import load_trained_on
from seqvision.runtime.console import say
from seqvision.sweeps.plan import Plan
from seqvision.sweeps.table import declared_runs

PAGE = "report.html"


def write_report(
    workdir: str | Path,
    output: str | Path = "",
    split: str = "",
    seed: int | None = None,
    data: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Writes a page about a trained run: one HTML file that needs no other.

    It looks at each example of the split once, and at some of them more closely: the surest
    mistakes and the least sure. The same run gives the same bytes.

    Args:
      workdir: the run's folder.
      output: the `.html` file; by default `report.html` in the workdir.
      split: `train`, `validation` or `test`; by default the last of them that there is.
      seed: of a run of several seeds, whose weights; by default those of the first.
      data: fields of `config.data` that say where the data lie, where they are not to be those of
        the run.

    Returns:
      The file, written whole or not at all.

    Raises:
      UserError: no run, data that cannot be had, no such split or seed, a file that cannot be
        written, or the extra `plots` is not installed.
    """
    workdir = Path(workdir)
    if split not in ("", *SPLITS):
        raise UserError(
            f"--split: '{split}' is not known; choose one of {', '.join(SPLITS)}"
            f"{did_you_mean(split, SPLITS)}"
        )
    _check_installed()
    from seqvision.reports.run_page import write_run_page

    run = load_run(workdir, seed)
    target = _checked_target(str(output or workdir / PAGE))
    fields = dataclasses.replace(run.settings.data, **data)
    settings = dataclasses.replace(run.settings, data=fields)
    dataset = load_trained_on(run, settings)
    split = split or [name for name in SPLITS if name in dataset.splits][-1]
    dataset.split(split)  # Refused now, not after the curves.
    with _explained(target):
        write_run_page(target, dataclasses.replace(run, settings=settings), dataset, split)
    return target


def compare_runs(
    folders: Sequence[str | Path], output: str | Path, missing: Sequence[str] = ()
) -> Path:
    """Writes a page that puts runs side by side, from their records alone.

    Args:
      folders: of the runs, at least one.
      output: the `.html` file.
      missing: names of planned runs that have no folder.

    Returns:
      The file, written whole or not at all.

    Raises:
      UserError: none of the folders holds a run, a file that cannot be written, or the extra
        `plots` is not installed.
    """
    _check_installed()
    target = _checked_target(str(output))
    from seqvision.reports.comparison import plans_of

    runs, left_out = {}, []
    paths = [Path(folder).absolute() for folder in folders]
    root = Path(os.path.commonpath([path.parent for path in paths]))
    for path in paths:
        try:
            runs[path.relative_to(root).as_posix()] = read_settings(path)
        except UserError as error:
            left_out.append(str(error))
    if not runs:
        raise UserError(left_out[0])
    for line in left_out:
        say(f"left out: {line}")
    return write_plans(target, root.name, plans_of(runs, root), root, missing)


def write_plans(
    target: Path, title: str, plans: Mapping[str, Plan], root: Path, missing: Sequence[str] = ()
) -> Path:
    """Writes a page of planned runs, those of a sweep; see `reports.comparison`."""
    _check_installed()
    from seqvision.reports.comparison import write_comparison

    with _explained(target):
        write_comparison(target, title, plans, root, missing)
    return target


def report_training(workdir: Path) -> None:
    """Writes the page of a run that is done, where there is none since; see `report_at_end`."""
    page, ended = workdir / PAGE, (workdir / STATUS).stat().st_mtime_ns
    if page.exists() and page.stat().st_mtime_ns >= ended:
        return
    if jax.process_count() > 1:
        say("report    not written by several processes; --mode=report writes it in one")
        return
    report_at_end(lambda: write_report(workdir))


def report_again(workdir: Path, settings: Settings) -> None:
    """Writes the page of a run anew, where it has one; see `report_at_end`.

    Args:
      workdir: of the run.
      settings: with where the data lie.
    """
    if (workdir / PAGE).exists() and jax.process_count() == 1:
        names = [name.removeprefix("data.") for name in OF_THE_RUN["report"]]
        data = {name: getattr(settings.data, name) for name in names}
        report_at_end(lambda: write_report(workdir, data=data))


def report_at_end(write: Callable[[], Path]) -> None:
    """Writes the page of what has just ended well, and says so; it never fails that.

    Args:
      write: writes the page and returns its path.
    """
    try:
        say(f"report    {write()}")
    except UserError as error:
        say(f"report    not written: {error}")
    except Exception as error:  # Whatever goes wrong here, the run is done.
        say(f"report    not written: {first_line(error)}; --mode=report shows more")


def _check_installed() -> None:
    for name in ("jinja2", "matplotlib"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            raise UserError(
                f"{name} is missing, which reports need: pip install 'seqvision[plots]' (in a"
                " clone: pip install -e '.[plots]')"
            ) from None


def _checked_target(output: str) -> Path:
    target = expanded(output, "--output")
    if target.suffix != ".html":
        raise UserError(f"--output: '{output}' ends in '{target.suffix}'; name an .html file")
    if not target.parent.is_dir():
        raise UserError(f"--output: the folder {target.parent} does not exist; make it first")
    if target.exists() and not target.is_file():
        raise UserError(f"--output: {target} is no regular file; name another one")
    return target


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UserError(explain_os_error(error, target.parent, "--output")) from error


def _matching(pattern: str) -> list[Path]:
    """The folders of runs that a pattern matches, and those of the runs in sweeps."""
    found = sorted(Path(name) for name in glob.glob(str(expanded(pattern, "--inputs"))))
    folders = [path for path in found if (path / CONFIG).is_file()]
    if not folders:
        what = "nothing" if not found else f"{len(found)} files or folders, none of them a run"
        raise UserError(
            f"--inputs: '{pattern}' matches {what}; name the folders of runs, in quotes, such as"
            " --inputs='runs/*'"
        )
    return folders


def _check_of_many(inputs: str, workdir: Path) -> None:
    """Refuses flags that change nothing of a page about many runs."""
    from absl.flags import FLAGS

    from seqvision.config import command_line

    what = "--inputs" if inputs else f"{workdir}, which holds many runs"
    names = ["split", "seed", *["workdir"] * bool(inputs)]
    given = [name for name in names if FLAGS[name].present]
    given += [f"config.{name}" for name in command_line.config_overrides()]
    if given:
        raise UserError(f"--{given[0]}: it has no effect with {what}; leave it out")


def run(
    settings: Settings, workdir: Path, inputs: str, output: str, split: str, seed: int | None
) -> int:
    """`--mode=report`; returns the exit code."""
    is_sweep = not (workdir / CONFIG).exists() and any(workdir.glob(f"*/{CONFIG}"))
    if inputs or is_sweep:
        _check_of_many(inputs, workdir)
        if inputs and not output:
            raise UserError("--output: missing; name the .html file for the runs of --inputs")
        folders = _matching(inputs or f"{glob.escape(str(workdir))}/*")
        missing = []
        if not inputs:
            from seqvision.sweeps.scheduler import TABLE

            declared = declared_runs(workdir / TABLE)
            places = {name: place for place, name in enumerate(declared)}
            folders.sort(key=lambda path: places.get(path.name, len(places)))
            missing = [name for name in declared if name not in {path.name for path in folders}]
        say(f"report    {compare_runs(folders, output or workdir / PAGE, missing)}")
        return 0
    from absl.flags import FLAGS

    from seqvision.config import command_line

    split = split if FLAGS["split"].present else ""
    overrides = command_line.config_overrides()
    names = [name for name in OF_THE_RUN["report"] if name in overrides]
    data = {name: getattr(settings.data, name) for name in (n.removeprefix("data.") for n in names)}
    say(f"report    {write_report(workdir, output, split, seed, data)}")
    return 0
