"""The shipped configs: their folder in a clone or in the installed package, found by name."""

import importlib.util
import sys
from pathlib import Path

from seqvision.errors import UserError, did_you_mean

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder() -> Path:
    """The folder `configs`: inside the package where that is installed, else beside it."""
    installed = _PACKAGE / "shipped" / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def shipped_names() -> list[str]:
    """The shipped configs, without `.py`, such as `sweeps/cells`."""
    folder = shipped_folder()
    files = _config_files(folder, "**/*.py")
    return [file.relative_to(folder).with_suffix("").as_posix() for file in files]


def _config_files(folder: Path, pattern: str) -> list[Path]:
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.name != "default.py" and "def get_config" in path.read_text(errors="replace")
    )


def find_config(name: str) -> str:
    """The file of `--config=NAME[:VARIANT]`, with its variant.

    Args:
      name: a file, or else the name of a shipped config without `.py`.

    Raises:
      UserError: there is neither.
    """
    path, colon, variant = name.partition(":")
    file = Path(path)
    try:
        file.is_file()
    except OSError as error:
        shortened = path if len(path) <= 40 else f"{path[:40]}... ({len(path)} characters)"
        raise UserError(f"--config: '{shortened}': {error.strerror}; name a config file") from None
    if not file.is_file() and path in (*shipped_names(), "default"):
        file = shipped_folder() / f"{path}.py"
    if file.is_file():
        return f"{file}{colon}{variant}"
    names = shipped_names()
    if file.suffix == ".py" or file.is_dir():
        raise UserError(f"--config: there is no file '{file}'{_beside(file)}")
    raise UserError(
        f"--config: '{path}' is neither a file nor a shipped config ({', '.join(names)})"
        f"{did_you_mean(path, names)}"
    )


def _beside(file: Path) -> str:
    """A near name in the file's folder, else all of them, else a shipped config of that name."""
    folder = file if file.is_dir() else file.parent
    names = [path.name for path in _config_files(folder, "*.py")]
    nearest = did_you_mean(file.name, names, f"{folder}/" if folder != Path() else "")
    listed = f"; {folder} holds {', '.join(names)}" if names else ""
    return nearest or listed or did_you_mean(file.stem, shipped_names())


def make_configs_importable() -> None:
    """Lets config files do `from configs import default` where no clone is on the path."""
    found = importlib.util.find_spec("configs")
    if found is None or found.origin is None:  # None: a folder of that name without __init__.py.
        sys.path.append(str(shipped_folder().parent))
