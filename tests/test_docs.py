"""README, docs and notebook: every command, flag, field, file, link and import in them is real."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import seqvision
from seqvision.config.flags import own_flags
from tests.document_checks import (
    code_of,
    command_problems,
    import_problems,
    link_problems,
    name_problems,
    statement_problems,
)

README = Path("README.md")
TEXTS = [README, Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]
CHECKS = (command_problems, name_problems, link_problems, import_problems)
Check = Callable[[str, Path], list[str]]


@pytest.mark.parametrize("path", TEXTS, ids=str)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_there_are_no_problems(check: Check, path: Path) -> None:
    assert check(path.read_text(), path) == []


def test_the_notebook_imports_public_names() -> None:
    for cell in json.loads(Path("seqvision_colab.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert statement_problems("".join(cell["source"])) == []


def test_the_readme_is_short_and_names_each_page_and_one_command_for_tests() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 160
    for page in Path("docs").glob("*.md"):
        assert f"(docs/{page.name}" in text
    # The CI script runs the first line that holds `-m pytest`, word for word.
    [line] = [line for line in text.splitlines() if "-m pytest" in line]
    assert re.fullmatch(r"    python3 -m venv \.venv && .* -m pytest -n 2 --dist=loadfile -q", line)


def test_every_flag_and_every_public_name_is_mentioned() -> None:
    text = "\n".join(path.read_text() for path in TEXTS)
    assert [flag.name for flag in own_flags() if f"--{flag.name}" not in text] == []
    imports = re.findall(
        r"^from seqvision import (.*)", "\n".join(code_of(text).python), re.MULTILINE
    )
    imported = set(re.findall(r"\w+", " ".join(imports)))
    assert {*seqvision.__all__} - imported == {"__version__"}


def test_the_table_of_packages_is_that_of_the_folders() -> None:
    text = Path("docs/architecture.md").read_text()
    listed: dict[str, set[str]] = {}
    for package, modules in re.findall(r"^\| `(seqvision[\w.]*)` \| (.*?) \|", text, re.MULTILINE):
        listed.setdefault(package, set()).update(re.findall(r"`(\w+)`", modules))
    folders = {path.parent for path in Path("seqvision").rglob("__init__.py")}
    assert set(listed) == {".".join(folder.parts) for folder in folders}
    for package, modules in listed.items():
        files = Path(*package.split(".")).glob("*.py")
        assert modules == {file.stem for file in files} - {"__init__", "__main__"}, package


ROW = "    python main.py --config=configs/row_lstm.py"


@pytest.mark.parametrize(
    ("check", "text", "problem"),
    [
        (command_problems, f"{ROW} --workdri=runs/a", "Unknown command line flag 'workdri'"),
        (command_problems, f"{ROW} \\\n        --mode=evalute", "'evalute' is not known"),
        (command_problems, f"{ROW}:fats", "'fats' is not known"),
        (command_problems, f"{ROW} --config.model.hiden_size=$SIZE", "hiden_size: no such field"),
        (command_problems, f"{ROW} --config.model.dropout=0.5", "no effect between layers"),
        (command_problems, f"{ROW} --config.duration='3 weeks", "a quote is open"),
        (command_problems, "    seqvision --config=row_lstmx", "did you mean 'row_lstm'"),
        (command_problems, "    a && python -m seqvision --mode=train", "--config: missing"),
        (command_problems, "    ssh --command='cd b && python main.py --config=c.py'", "no file"),
        (command_problems, "```\nsrun python3 main.py --config=a.py\n```", "no file"),
        (command_problems, "So `.venv/bin/python main.py\n--config=a.py` it is.", "no file"),
        (command_problems, "    python -m benchmarks.speed.lstn", "there is no module"),
        (command_problems, "    python -m benchmarks.speed.lstm --dtipe=a", "no option --dtipe=a"),
        (command_problems, "    python -m pytest tests/modles -q", "there is no tests/modles"),
        (command_problems, "    bash benchmarks/slurm/none.sh", "there is no benchmarks/slurm"),
        (name_problems, "`--invert=always --splits=test`", "there is no flag --splits"),
        (name_problems, "`--config.data.nam=mnist`", "config.data.nam: no such field"),
        (name_problems, "`config.data.nam`", "there is no such field"),
        (name_problems, "`config.model.cell=gur`", "'gur' is not known"),
        (name_problems, "`benchmarks/results/tabel-*`", "there is no such file"),
        (name_problems, "`configs/row_lstm.py:fats`", "'fats' is not known"),
        (link_problems, "[a](docs/nothing.md)", "there is no such file"),
        (link_problems, "[a](docs/speed.md#nothing)", "there is no such heading"),
        (link_problems, "## A 98.5 %\n## A 98.5 %\n[a](#a-985--2)", "there is no such heading"),
        (import_problems, "```python\nfrom configs import row_lstmx\n```", "cannot import"),
        (import_problems, "```python\nfrom seqvision import config\n```", "it is not public"),
        (import_problems, "```python\nimport seqvision.train\n```", "it is not public"),
        (import_problems, "```python\nfrom seqvision import (\n```", "it is no Python"),
    ],
)
def test_a_problem_is_found(check: Check, text: str, problem: str) -> None:
    (found,) = check(f"Text.\n\n{text}\n", README)
    assert problem in found


def test_what_is_right_is_no_problem() -> None:
    text = f"""## Time to 98.5 %, `one`

{ROW}:fast --config.duration='3 epochs' --config.seed=SEED  # a comment with 'an open quote
    python main.py --config=CONFIG --config.x.y=VALUE --mode=sweep --sweep_shard=$TASK/$COUNT
    seqvision --config=row_lstm:fast --mode=evaluate --split=validation | head
    pip install seqvision && cd seqvision && ls
    python -m benchmarks.speed.lstm --torch_python=PYTHON --help

`--seed=3` `config.data.window=16` `--torch_python=PYTHON` `seqvision/NAME.py` `config.x.y=...`
[a](#time-to-985--one) [b](docs/speed.md) [c](https://a.org/b) `[d](e)`
"""
    assert [problem for check in CHECKS for problem in check(text, README)] == []
