"""Checkpoints: what is kept, what is restored, what happens to a torn one."""

import math
import os
import shutil
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from seqvision.errors import UserError
from seqvision.models import create_model
from seqvision.runs import saved_states
from seqvision.runs.checkpoint import Checkpoints
from seqvision.runs.saved_states import SavedStates
from seqvision.runtime.mesh import create_mesh
from seqvision.tasks.classification_metrics import ClassSums
from seqvision.training.optimizer import create_optimizer
from seqvision.training.replicas import Replicas
from seqvision.training.state import make_init

MODEL = create_model(num_classes=3, hidden_size=4)
ONE = Replicas(range(1, 2))
INIT = make_init(MODEL, create_optimizer("adam", 1e-3), (5, 4, 1), ClassSums.zeros(3), use_ema=True)


@pytest.fixture(scope="module")
def state() -> Any:
    return ONE.create_state(INIT, create_mesh())


def save(workdir: Path, state: Any, steps: list[int], keep: int = 2, best: int | None = None):
    with Checkpoints(workdir, keep) as checkpoints:
        for step in steps:
            at_step = state.replace(
                step=jnp.int32(step), params=jax.tree.map(partial(jnp.add, step), state.params)
            )
            checkpoints.save(at_step, {"seconds": step / 2}, best)
        checkpoints.wait()
        return checkpoints.steps


def test_the_newest_and_the_best_are_kept(state: Any, tmp_path: Path) -> None:
    assert save(tmp_path / "a", state, [1, 2, 3, 4, 5], keep=2) == [4, 5]
    assert save(tmp_path / "b", state, [1, 2, 3, 4, 5], keep=1, best=2) == [2, 5]


def test_restored_bit_by_bit_onto_any_number_of_devices(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [7])
    for devices in (2, 1):
        mesh = create_mesh(devices)
        with Checkpoints(tmp_path) as checkpoints:
            restored, progress = checkpoints.restore_newest(ONE.abstract_state(INIT, mesh))
        assert progress == {"seconds": 3.5}
        assert int(restored.step) == 7
        expected = jax.tree.map(lambda a: a + 7, state.params)
        jax.tree.map(np.testing.assert_array_equal, restored.params, expected)
        jax.tree.map(np.testing.assert_array_equal, restored.opt_state, state.opt_state)
        assert restored.params["classifier"]["bias"].sharding.mesh == mesh


def test_restored_without_knowing_its_shapes(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [7])
    restored, _ = SavedStates(tmp_path).restore_newest()
    jax.tree.map(np.testing.assert_array_equal, restored["ema_params"], state.ema_params)


def test_reading_does_without_orbax(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [7])
    code = (
        "import sys; from pathlib import Path; from seqvision.runs.saved_states import SavedStates;"
        f"print(SavedStates(Path({str(tmp_path)!r})).restore_newest()[0]['step']);"
        "assert not [name for name in sys.modules if name.startswith('orbax')]"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.returncode, found.stdout.strip()) == (0, "7"), found.stderr


def test_only_folders_of_steps_are_checkpoints(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [7])
    for name in ("9.orbax-checkpoint-tmp", "08", "x"):
        (tmp_path / "checkpoints" / name).mkdir()
    (tmp_path / "checkpoints" / "10").write_text("")
    assert SavedStates(tmp_path).steps == [7]
    assert SavedStates(tmp_path / "nothing").steps == []


@pytest.mark.parametrize(
    ("dtype", "shape"), [("bfloat16", (3, 5)), ("int32", ()), ("float16", (2, 1, 3))]
)
def test_read_as_orbax_reads_it(state: Any, tmp_path: Path, dtype: str, shape: Any) -> None:
    more = jnp.arange(math.prod(shape)).reshape(shape).astype(dtype)
    save(tmp_path, state.replace(params={**state.params, "a": {"b c/d": more}}), [7])
    found, _ = SavedStates(tmp_path).restore_newest()
    with ocp.StandardCheckpointer() as checkpointer, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of shardings that are not given.
        expected = checkpointer.restore(tmp_path / "checkpoints" / "7" / "state")
    by_name = [
        {jax.tree_util.keystr(path, simple=True): leaf for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (found, expected))
    ]
    assert by_name[0].keys() == by_name[1].keys()
    for name, array in by_name[0].items():
        assert array.dtype == by_name[1][name].dtype
        np.testing.assert_array_equal(array, by_name[1][name], err_msg=name)


@pytest.mark.parametrize("name", ["a#b", "a%20b", "50%", "a?b c", "*", "a]b["])
def test_a_workdir_of_any_name(state: Any, tmp_path: Path, name: str) -> None:
    """The folder `a b`, which the URL `a%20b` names, holds other weights."""
    save(tmp_path / "a b", state, [9])
    save(tmp_path / name, state, [7])
    said: list[str] = []
    with Checkpoints(tmp_path / name, say=said.append) as checkpoints:
        restored, _ = checkpoints.restore_newest(ONE.abstract_state(INIT, create_mesh()))
        assert checkpoints.steps == [7]
    assert not said
    expected = jax.tree.map(lambda a: a + 7, state.params)
    jax.tree.map(np.testing.assert_array_equal, restored.params, expected)


def test_a_workdir_in_which_checkpoints_would_be_lost(state: Any, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "[1]")
    for name in ("[1]", "run [a]/b", "a\\b", "link"):
        with pytest.raises(UserError, match=r"--workdir: .* choose another folder"):
            Checkpoints(tmp_path / name)
    save(tmp_path / "a", state, [7])
    (tmp_path / "a").rename(tmp_path / "[a]")  # It can still be read.
    assert int(SavedStates(tmp_path / "[a]").restore_newest()[0]["step"]) == 7


def test_no_checkpoint(tmp_path: Path) -> None:
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore_newest() is None


def data_files(workdir: Path, step: int) -> list[Path]:
    folder = workdir / "checkpoints" / str(step)
    return sorted(
        path.relative_to(workdir)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("commit_success.txt", "_CHECKPOINT_METADATA")
    )


@pytest.mark.parametrize("damage", ["delete", "truncate", "flip", "pipe"])
def test_a_torn_newest_checkpoint_falls_back(state: Any, tmp_path: Path, damage: str) -> None:
    """Each file of the newest checkpoint is damaged in turn: right arrays, whatever happens."""
    rng = np.random.default_rng(0)
    whole, workdir = tmp_path / "whole", tmp_path / "damaged"
    save(whole, state, [3, 6])
    fallen_back = 0
    for name in data_files(whole, 6):
        shutil.rmtree(workdir, ignore_errors=True)
        shutil.copytree(whole, workdir)
        path = workdir / name
        content = bytearray(path.read_bytes())
        if damage == "delete":
            path.unlink()
        elif damage == "pipe":
            path.unlink()
            os.mkfifo(path)
        elif damage == "truncate":
            path.write_bytes(content[: len(content) // 2])
        else:
            content[rng.integers(len(content))] ^= 0x10
            path.write_bytes(content)
        said: list[str] = []
        with Checkpoints(workdir, say=said.append) as checkpoints:
            restored, progress = checkpoints.restore_newest(ONE.abstract_state(INIT, create_mesh()))
            step = int(restored.step)
            assert checkpoints.steps == ([3, 6] if step == 6 else [3])
        expected = jax.tree.map(lambda a, step=step: a + step, state.params)
        jax.tree.map(np.testing.assert_array_equal, restored.params, expected)
        assert progress == {"seconds": step / 2}
        if step == 3:
            fallen_back += 1
            assert len(said) == 1, name
            assert said[0].startswith("checkpoint 6 is torn (")
            assert list((workdir / "torn_checkpoints").iterdir())
    assert fallen_back >= 3


def test_what_is_saved_after_going_back_is_the_newest(state: Any, tmp_path: Path) -> None:
    """orbax 0.12.8 alone saves nothing in a folder that holds a newer step."""
    save(tmp_path, state, [3, 6])
    (tmp_path / "checkpoints/6/state/manifest.ocdbt").write_bytes(b"")
    mesh = create_mesh()
    with Checkpoints(tmp_path, keep=2, say=lambda line: None) as checkpoints:
        restored, _ = checkpoints.restore_newest(ONE.abstract_state(INIT, mesh))
        assert int(restored.step) == 3
        for step in (5, 6):
            checkpoints.save(restored.replace(step=jnp.int32(step)), {"seconds": step / 2}, None)
        checkpoints.wait()
        assert checkpoints.steps == [5, 6]
    with Checkpoints(tmp_path) as checkpoints:
        restored, loop = checkpoints.restore_newest(ONE.abstract_state(INIT, mesh))
    assert (int(restored.step), loop) == (6, {"seconds": 3.0})


def test_a_best_checkpoint_that_cannot_be_had_is_said(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [1, 2, 3], keep=1, best=2)
    said: list[str] = []
    with Checkpoints(tmp_path, say=said.append) as checkpoints:
        assert int(checkpoints.restore_best(2)["step"]) == 2
        assert checkpoints.restore_best(None) is None
        assert said == []
        (tmp_path / "checkpoints" / "2" / "state" / "manifest.ocdbt").unlink()
        assert checkpoints.restore_best(2) is None
        assert checkpoints.restore_best(1) is None
    assert "the best checkpoint, of step 2, is not used (it is torn" in said[0]
    assert "of step 1, is not used (it is gone)" in said[1]


def test_a_whole_checkpoint_of_another_network_is_not_torn(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [3, 6])
    other = make_init(
        MODEL, create_optimizer("adam", 1e-3), (9, 7, 1), ClassSums.zeros(3), use_ema=True
    )
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match="intact, but from a different network"),
    ):
        checkpoints.restore_newest(ONE.abstract_state(other, create_mesh()))
    assert (tmp_path / "checkpoints" / "6").exists()
    assert not (tmp_path / "torn_checkpoints").exists()


def test_a_workdir_with_a_way_up(state: Any, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    save(tmp_path / "b" / ".." / "a", state, [7])
    restored, _ = SavedStates(tmp_path / "b" / ".." / "a").restore_newest()
    assert int(restored["step"]) == 7


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), ValueError("PERMISSION_DENIED: x")]
)
def test_what_may_not_be_read_is_not_torn(
    state: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    save(tmp_path, state, [3, 6])

    def refuse(folder: Path) -> Any:
        raise error

    monkeypatch.setattr(saved_states, "_read_arrays", refuse)
    with pytest.raises(UserError, match=r"checkpoints/6.*ermission"):
        SavedStates(tmp_path).restore_newest()
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "checkpoints").touch()
    with pytest.raises(UserError, match="checkpoints"):
        SavedStates(tmp_path).restore_newest()


def test_a_checkpoint_deleted_while_it_is_read(
    state: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a training that goes on: the next one is read."""
    save(tmp_path, state, [3])
    whole = saved_states._read_arrays

    def late(folder: Path) -> Any:
        if folder.parent.name == "3":
            (folder.parents[1] / "3").rename(folder.parents[1] / "4")
        return whole(folder)

    said: list[str] = []
    monkeypatch.setattr(saved_states, "_read_arrays", late)
    restored, _ = SavedStates(tmp_path, said.append).restore_newest()
    assert int(restored["step"]) == 3 and not said


def test_all_torn_is_an_error_and_reading_moves_nothing(state: Any, tmp_path: Path) -> None:
    save(tmp_path, state, [3, 6])
    for step in (3, 6):
        (tmp_path / "checkpoints" / str(step) / "state" / "manifest.ocdbt").unlink()
    with pytest.raises(UserError, match="none of its checkpoints can be read"):
        SavedStates(tmp_path, say=lambda line: None).restore_newest()
    assert (tmp_path / "checkpoints" / "6").exists()
