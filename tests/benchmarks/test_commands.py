"""Whole commands beside the peers: what is run, what is compared, and the table."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.speed import commands
from benchmarks.speed.contenders.peer_program import write_csv
from seqvision.errors import UserError
from seqvision.inference.output_file import write_rows

MADE = commands.Made(
    Path("pictures"), {"torch": Path("t.npz"), "keras": Path("k.h5")}, Path("o.csv"), Path("c")
)


@pytest.mark.parametrize("task", commands.TASKS)
def test_each_contender_is_given_the_same_pictures_and_weights(task: str) -> None:
    chosen = commands.parse(["--workdir=run", "--torch_python=A", "--keras_python=B"])
    assert tuple(chosen.contenders) == commands.CONTENDERS
    own, torch, keras, tensorflow = (
        commands.command_of(contender, task, chosen, MADE) for contender in chosen.contenders
    )
    assert own[1:4] == ["main.py", "--config=configs/row_lstm.py", f"--mode={task}"]
    assert torch[:1] == ["A"] and keras == tensorflow and keras[:1] == ["B"]
    files = ["pictures", "o.csv"] if task == "predict" else []
    assert torch[3:] == [task, "t.npz", *files] and keras[3:] == [task, "k.h5", *files]
    assert ("--inputs=pictures/*.png" in own) == (task == "predict")


def test_answers_of_all_are_read_alike(tmp_path: Path) -> None:
    found = [
        commands._answer("evaluate", text, MADE)
        for text in ("run: step 9 on mnist test\naccuracy  99.06%\n", '{"accuracy": 99.05999}')
    ]
    assert found == [99.06, 99.06]
    made = MADE._replace(output=tmp_path / "p.csv")
    write_csv(["x/1.png", "x/2.png"], np.array([[0.2, 0.8], [0.7, 0.3]]), made.output)
    theirs = commands._answer("predict", "", made)
    rows = [{"file": "1.png", "classes": 1}, {"file": "2.png", "classes": 0}]
    write_rows(rows, made.output)
    assert theirs == commands._answer("predict", "", made) == [("1.png", 1), ("2.png", 0)]


def test_the_table_has_ratios_round_by_round() -> None:
    seconds = {"evaluate": {"seqvision": [1.0, 2.0, 4.0], "torch": [3.0, 4.0, 4.0]}}
    assert commands.body(seconds)[-1] == "| evaluate | torch | 4.00 | 3.00-4.00 | 2.00 |"


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(UserError, match=r"ended with 1: .*no_such_module"):
        commands._run([sys.executable, "-S", "-c", "import no_such_module"], {})
