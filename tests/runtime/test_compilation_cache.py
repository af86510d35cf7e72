"""The persistent compilation cache: its folder, its settings, and that it changes no bit."""

import importlib.util
import os
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from seqvision.runtime.compilation_cache import enable_compilation_cache
from tests.commands import main
from tests.conftest import as_arguments
from tests.same_run import assert_same_run

NAMES = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_COMPILATION_CACHE_MAX_SIZE",
    "JAX_ENABLE_COMPILATION_CACHE",
    "TF_CPP_MIN_LOG_LEVEL",
)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that is set here, or in the code below, lasts."""
    for name in [*NAMES, *(name for name in os.environ if name.startswith("JAX_PERSISTENT"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def lines() -> list[str]:
    said: list[str] = []
    enable_compilation_cache(said.append)
    return said


def test_they_lie_in_the_users_cache_folder() -> None:
    assert lines() == []
    folder = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    assert folder.is_dir()
    assert folder.parent == Path(os.environ["XDG_CACHE_HOME"]) / "seqvision" / "compiled"
    assert float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]) == 0


def test_the_users_folder_and_off_switch_win() -> None:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = "/mine"
    assert lines() == []
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "/mine"
    assert float(os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"]) == 0
    assert "JAX_COMPILATION_CACHE_MAX_SIZE" not in os.environ  # Others may keep theirs there.
    del os.environ["JAX_COMPILATION_CACHE_DIR"]
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    assert lines() == []
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    assert not (Path(os.environ["XDG_CACHE_HOME"]) / "seqvision").exists()


@pytest.mark.parametrize(
    ("platforms", "installed", "hides"),
    [
        ("cpu", {"jax_plugins"}, True),
        ("cuda,cpu", set(), False),
        ("", set(), True),
        ("", {"jax_plugins"}, False),
        ("", {"libtpu"}, False),
    ],
)
def test_errors_of_accelerators_are_not_hidden(
    monkeypatch: pytest.MonkeyPatch, platforms: str, installed: set[str], hides: bool
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in installed or None)
    os.environ["JAX_PLATFORMS"] = platforms
    lines()
    assert ("TF_CPP_MIN_LOG_LEVEL" in os.environ) == hides


def test_the_folder_is_that_of_the_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(text: str) -> str:
        monkeypatch.setattr(Path, "read_text", lambda path: text)
        os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
        lines()
        return os.environ["JAX_COMPILATION_CACHE_DIR"]

    one = "processor : 0\nmodel name : A\nflags : fma avx2\n"
    assert folder(one) == folder(one * 2)
    assert folder(one) != folder(one.replace("avx2", "avx512"))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "file")
    (line,) = lines()
    assert line.startswith("compiled anew at each start: ")
    assert "a file stands where a folder is needed" in line
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ


def test_kept_programs_give_the_bits_of_fresh_ones(tiny_config: ConfigDict, tmp_path: Path) -> None:
    """Compiled afresh and kept; read back; damaged on the disk: three runs, one result."""
    tiny_config.model.recurrent_dropout = 0.2
    tiny_config.duration = "4 steps"
    arguments = [*as_arguments(tiny_config), "--host_devices=2", "--report=false"]
    home = tmp_path / "home"
    kept = home / "seqvision" / "compiled"

    def run(name: str) -> str:
        result = main(*arguments, f"--workdir={tmp_path / name}", XDG_CACHE_HOME=str(home))
        assert result.returncode == 0, result.stderr
        return result.stderr

    run("fresh")
    programs = sorted(kept.glob("*/*train_steps*-cache"))
    assert programs
    times = [path.stat().st_mtime_ns for path in programs]
    assert run("reading") == ""
    assert [path.stat().st_mtime_ns for path in programs] == times
    for path in kept.glob("*/*-cache"):
        path.write_bytes(path.read_bytes()[:50])
    run("damaged")
    for name in ("reading", "damaged"):
        assert_same_run(tmp_path / name, tmp_path / "fresh")
