"""The notebook, run from top to bottom as Jupyter runs it, in a process of its own."""

import base64
import importlib.util
import io
import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

NOTEBOOK = Path("seqvision_colab.ipynb")
STEPS = 16
# Run after the last cell, in the same process.
PROBES = {
    "run-again": "train_and_evaluate(config, RUNS / 'rows').step",
    "environment": "print('tensorflow' in sys.modules, Path(row_lstm.__file__).parents[1])",
    "other-config": "train_and_evaluate(moving, RUNS / 'rows')",
}


@dataclass(frozen=True)
class Executed:
    """Cells by their ids, after all of them ran in `folder`."""

    cells: dict[str, NotebookNode]
    folder: Path

    def printed(self, name: str) -> str:
        outputs = self.cells[name].outputs
        return "".join(o.text for o in outputs if o.output_type == "stream")

    def value(self, name: str) -> str:
        """What the cell's last expression is."""
        outputs = self.cells[name].outputs
        return "".join(o.data["text/plain"] for o in outputs if o.output_type == "execute_result")

    def pictures(self, name: str) -> list[np.ndarray]:
        outputs = [o for o in self.cells[name].outputs if o.output_type == "display_data"]
        pngs = [base64.b64decode(o.data["image/png"]) for o in outputs]
        return [np.asarray(Image.open(io.BytesIO(png)).convert("L")) for png in pngs]


def execute(notebook: NotebookNode, folder: Path, home: Path, **variables: str) -> Executed:
    """Runs all cells in `folder`, with `home` as the user's home."""
    ours = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS", "PYTHONPATH")
    inherited = {k: v for k, v in os.environ.items() if k not in ours}
    own = {
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter"),
    }
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", own["JUPYTER_RUNTIME_DIR"])
        client.execute(env=inherited | own | variables)
    return Executed({cell.id: cell for cell in notebook.cells}, folder)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory, data_home: Path) -> Executed:
    """The notebook with short trainings."""
    assert importlib.util.find_spec("tensorflow") is None
    # A folder that holds what a clone holds, so that nothing is written into this one.
    folder, home = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home")
    for name in ("seqvision", "configs"):
        (folder / name).symlink_to(Path(name).absolute())
    (home / "cache").mkdir()
    (home / "cache" / "seqvision").symlink_to(data_home / "cache")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells += [
        new_code_cell(source, id=name, metadata={"tags": ["raises-exception"]})
        for name, source in PROBES.items()
    ]
    return execute(
        notebook,
        folder,
        home,
        SEQVISION_NOTEBOOK_STEPS=str(STEPS),
        TFDS_DATA_DIR=str(data_home / "tfds"),
    )


def test_it_is_kept_clean() -> None:
    text = NOTEBOOK.read_text()
    notebook = nbformat.reads(text, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert text == nbformat.writes(notebook) + "\n"
    assert "setup_tpu" not in text
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)


def test_every_cell_is_short_and_has_words_before_it() -> None:
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 18, cell.id
            assert before is not None and before.cell_type == "markdown", cell.id


def test_it_trains_a_row_lstm(executed: Executed) -> None:
    run = executed.folder / "runs" / "notebook" / "rows"
    ends = json.loads((run / "status.json").read_text())
    assert (ends["status"], ends["step"]) == ("done", STEPS)
    accuracy = ends["metrics"]["test"]["accuracy"]
    assert accuracy > 0.3  # Chance is 0.1.
    assert f"test accuracy {accuracy:.2%}" in executed.printed("train-rows")
    # Each example counted once: the predictions give the accuracy that was measured at the end.
    found = re.fullmatch(
        r"(\d+) of 10000 wrong: accuracy (.+)", executed.printed("predict").split("\n")[-2]
    )
    assert found is not None
    assert found[2] == f"{accuracy:.2%}" == f"{1 - int(found[1]) / 10_000:.2%}"


def test_it_trains_a_frame_lstm_that_answers_after_each_frame(executed: Executed) -> None:
    run = executed.folder / "runs" / "notebook" / "frames"
    ends = json.loads((run / "status.json").read_text())
    assert (ends["status"], ends["step"]) == ("done", STEPS)
    said = executed.printed("evaluate")
    assert f"accuracy  {ends['metrics']['test']['accuracy']:.2%}" in said
    after = re.findall(r"^ +(\d+) +([\d.]+)% of 500$", said, re.MULTILINE)
    assert [int(frame) for frame, _ in after] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert 15 < float(after[0][1]) < 35  # Nobody can tell from one frame: chance is 25.


@pytest.mark.parametrize("name", ["curves", "pictures", "mistakes", "train-frames", "clip"])
def test_it_shows_pictures(executed: Executed, name: str) -> None:
    (picture,) = executed.pictures(name)
    height, width = picture.shape
    assert height > 200 and width > 600
    assert (picture < 128).mean() > 0.01  # It is not empty.


def test_it_shows_the_page_of_the_run(executed: Executed) -> None:
    (output,) = executed.cells["page"].outputs
    assert "The most confident mistakes" in output.data["text/html"]


def test_the_devices_are_those_that_were_asked_for(executed: Executed) -> None:
    from seqvision.runtime.cpu_devices import most_devices

    assert executed.value("devices").count("CpuDevice") == most_devices()


def test_a_wrong_config_is_named_and_leaves_nothing(executed: Executed) -> None:
    cell, size, name = executed.printed("wrong").splitlines()
    assert cell.startswith("config.model.cell: 'gur' is not known") and "'gru'?" in cell
    assert size.startswith("config.model.hidden_size: 0 is out of range")
    assert name.startswith("config.model.hiden_size: no such field")
    runs = executed.folder / "runs" / "notebook"
    assert sorted(path.name for path in runs.iterdir()) == ["frames", "rows"]


def test_a_config_and_a_run_are_read_back(executed: Executed) -> None:
    assert "cell: gru" in executed.value("change")
    assert f"step {STEPS}: lstm on mnist 3.0.1" in executed.printed("run")
    assert "'count': 10000" in executed.value("run")


def test_a_cell_run_twice_repeats_its_result(executed: Executed) -> None:
    assert "nothing to train" in executed.printed("run-again")
    assert executed.value("run-again") == str(STEPS)


def test_an_error_of_the_user_is_one_line_without_a_traceback(executed: Executed) -> None:
    (output,) = executed.cells["other-config"].outputs
    (line,) = output.traceback
    assert line.startswith("error: ") and "it holds a run of another config" in line


def test_it_needs_neither_tensorflow_nor_an_installation(executed: Executed) -> None:
    assert executed.printed("environment").split() == ["False", str(executed.folder)]


def test_it_clones_once_where_there_is_no_clone(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "content"
    folder.mkdir()
    (source / "seqvision").mkdir(parents=True)
    (source / "seqvision" / "train.py").touch()
    author = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "m")):
        subprocess.run(["git", "-C", str(source), *command], check=True)
    cells = {cell.id: cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
    address = 'REPOSITORY = ""'
    assert address in cells["clone"]
    notebook = new_notebook(
        cells=[
            new_code_cell(cells["steps"]),
            new_code_cell(cells["clone"], id="unset", metadata={"tags": ["raises-exception"]}),
            new_code_cell(cells["clone"].replace(address, f'REPOSITORY = "file://{source}"')),
            new_code_cell(f"os.chdir('{folder}')"),  # As after a restart.
            new_code_cell(cells["clone"]),
            new_code_cell("print(Path.cwd())", id="where"),
        ]
    )
    executed = execute(notebook, folder, tmp_path)
    assert "set REPOSITORY" in executed.cells["unset"].outputs[0].evalue
    assert executed.printed("where").strip() == str(folder / "checkout")
