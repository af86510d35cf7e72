"""The package as pip installs it: no clone in reach, the configs inside."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from seqvision.config import shipped
from seqvision.errors import UserError
from tests.commands import environment

OWN = """
from configs import default

def get_config():
    config = default.get_config()
    config.model.hidden_size = 8
    config.model.execution, config.model.recurrent_init = "scan", "identity"
    config.duration, config.evaluate_every = "2 steps", "never"
    return config
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The `bin` of an environment with a wheel of this clone, in which the clone is unknown.

    Its dependencies are those of the tests, without the `.pth` file that leads to the clone.
    """
    wheels, place = tmp_path / "wheels", tmp_path / "environment"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    [wheel] = wheels.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python")]
    pip += ["--disable-pip-version-check", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-compile", str(wheel)], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    folders = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "dependencies.pth").write_text("\n".join(folders))
    return place / "bin"


def test_an_installed_seqvision_brings_its_configs(
    installed: Path, data_home: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "own.py").write_text(OWN)
    clean = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    python = str(installed / "python")
    where = [f"--config.data.dir={data_home}/tfds", f"--config.data.cache_dir={data_home}/cache"]

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=here, env=clean, capture_output=True, text=True)

    code = (
        "import seqvision, importlib.util as u; print(seqvision.__file__, u.find_spec('configs'))"
    )
    found = run(python, "-c", code)
    assert found.stdout.split()[0].startswith(str(installed.parent)), found.stderr
    assert found.stdout.split()[1] == "None"

    unknown = run(str(installed / "seqvision"), "--config=row_lstn")
    assert unknown.returncode == 2
    assert unknown.stderr.count("\n") == 1
    assert "sweeps/cells" in unknown.stderr and "did you mean 'row_lstm'?" in unknown.stderr

    explained = run(str(installed / "seqvision"), "--config=row_lstm", "--mode=explain", *where)
    assert explained.returncode == 0, explained.stderr
    assert "parameters:" in explained.stdout

    trained = run(python, "-m", "seqvision", "--config=own.py", *where)
    assert trained.returncode == 0, trained.stderr
    *_, result, page = trained.stdout.splitlines()
    assert result.startswith("test accuracy ")
    assert page == "report    runs/own/report.html"
    assert (here / "runs" / "own" / "config.json").exists()


def test_a_config_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("configs").absolute()
    assert shipped.find_config("row_lstm") == str(folder / "row_lstm.py")
    assert shipped.find_config("row_lstm:fast") == f"{folder}/row_lstm.py:fast"
    assert shipped.find_config("sweeps/cells") == str(folder / "sweeps" / "cells.py")
    assert shipped.find_config("configs/row_lstm.py:book") == "configs/row_lstm.py:book"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"no file 'configs/row_lstm\.py'; did you mean 'row_lstm'"):
        shipped.find_config("configs/row_lstm.py")
    Path("row_lstm").write_text("A file comes first.")
    assert shipped.find_config("row_lstm") == "row_lstm"


def test_configs_become_importable_where_they_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(sys.path)
    shipped.make_configs_importable()
    assert sys.path == before  # Those of the clone are.
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, "configs")
    shipped.make_configs_importable()
    assert sys.path == [str(Path.cwd())]
