"""The lock of a workdir."""

from pathlib import Path

import pytest

from seqvision.errors import BusyError
from seqvision.runs.lock import exclusive, is_locked


def test_one_process_at_a_time(tmp_path: Path) -> None:
    workdir = tmp_path / "run"
    assert not is_locked(workdir)
    with exclusive(workdir):
        assert is_locked(workdir)
        with pytest.raises(BusyError, match="is training here"), exclusive(workdir):
            pass
        (workdir / "config.json").touch()
    assert not is_locked(workdir)
    assert (workdir / "config.json").exists()
    with exclusive(workdir):  # Asking for the lock has not kept it.
        pass


def test_a_folder_in_which_nothing_was_saved_is_removed(tmp_path: Path) -> None:
    with exclusive(tmp_path / "run"):
        (tmp_path / "run" / "checkpoints").mkdir()
    assert not (tmp_path / "run").exists()
    assert not is_locked(tmp_path / "run")
    assert not (tmp_path / "run").exists()
