"""README, docs and notebook: every command, flag, field, file, link and import in them is real."""

import json
import re
from pathlib import Path

import pytest

from tests.document_checks import (
    command_problems,
    import_problems,
    link_problems,
    main_flags,
    name_problems,
    slugs,
)
from tests.markdown_code import calls, code_of

README = Path("README.md")
TEXTS = [README, Path("CONTRIBUTING.md"), *sorted(Path("docs").glob("*.md"))]
# Shows how to change the package, so it imports what is not public.
FOR_DEVELOPERS = [Path("docs/architecture.md")]
PUBLIC_NAMES = (
    "train_and_evaluate",
    "evaluate_run",
    "Predictor",
    "Transcriber",
    "StreamReader",
    "prepare_host",
    "UserError",
)


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_commands_can_be_run(path: Path) -> None:
    assert command_problems(path.read_text()) == []


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_flags_fields_and_files_exist(path: Path) -> None:
    assert name_problems(path.read_text()) == []


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    assert link_problems(path.read_text(), path) == []


@pytest.mark.parametrize("path", TEXTS, ids=str)
def test_imports_exist(path: Path) -> None:
    public_only = path not in FOR_DEVELOPERS
    for block in code_of(path.read_text()).python:
        assert import_problems(block, public_only) == []


def test_the_notebook_imports_public_names() -> None:
    for cell in json.loads(Path("seqvision_colab.ipynb").read_text())["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            lines = [line for line in source.splitlines() if not line.lstrip().startswith("!")]
            code = "\n".join(re.sub(r"^(\s*)%.*", r"\1pass", line) for line in lines)
            assert import_problems(code) == []


def test_the_readme_is_short_and_each_page_is_named_in_it() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 160
    for page in Path("docs").glob("*.md"):
        assert f"(docs/{page.name}" in text


def test_the_readme_has_one_command_that_runs_the_tests() -> None:
    # The CI script runs the first line that holds `-m pytest`, word for word.
    first = next(line for line in README.read_text().splitlines() if "-m pytest" in line)
    assert re.fullmatch(
        r"    python3 -m venv \.venv && .* -m pytest -n 2 --dist=loadfile -q", first
    )
    assert README.read_text().count("-m pytest") == 1


def test_every_flag_is_mentioned() -> None:
    text = "\n".join(path.read_text() for path in TEXTS)
    assert [name for name in main_flags() if f"--{name}" not in text] == []


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


def test_public_names_are_imported_somewhere_in_the_docs() -> None:
    blocks = [block for path in TEXTS for block in code_of(path.read_text()).python]
    imports = re.findall(r"^from seqvision import (.*?)(?:;|$)", "\n".join(blocks), re.MULTILINE)
    assert set(PUBLIC_NAMES) <= {name.strip() for line in imports for name in line.split(",")}


# --- the checks themselves, on texts that are wrong ---

ROW = "    python main.py --config=configs/row_lstm.py"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{ROW} --workdri=runs/a", "there is no flag --workdri"),
        (f"{ROW} --mode=evalute", "--mode=evalute: it is none of"),
        (f"{ROW} --sweep_workers=0", "--sweep_workers=0: 0 is not"),
        (f"{ROW} --workdir", "--workdir has no value"),
        (f"{ROW} runs/a", "'runs/a' is no flag"),
        (f"{ROW}x", "there is no config configs/row_lstm.pyx"),
        (f"{ROW}:fats", "'fats' is not known"),
        (f"{ROW} --config.model.hiden_size=64", "config.model.hiden_size: no such field"),
        (f"{ROW} --config.model.hiden_size=$SIZE", "config.model.hiden_size: no such field"),
        (f"{ROW} --config.model.hidden_size=many", "'many' is not an int"),
        (f"{ROW} --config.model.hidden_size=0", "0 is out of range"),
        (f"{ROW} --config.model.dropout=0.5", "no effect between layers"),
        (f"{ROW} --config.duration='3 weeks'", "'3 weeks' is not a duration"),
        (f"{ROW} --config.duration='3 weeks", "a quote is open"),
        ("    python main.py --mode=train", "--config is missing"),
        ("    seqvision --config=row_lstm --modes=train", "there is no flag --modes"),
        ("    seqvision --config=row_lstmx", "there is no config configs/row_lstmx"),
        ("    python -m seqvision --config=row_lstm --sede=1", "there is no flag --sede"),
        ("    srun --ntasks=8 python main.py --config=configs/cells.py", "there is no config"),
        ("    cd a && TZ=UTC .venv/bin/python main.py --config=configs/a.py", "there is no config"),
        ("    ssh a --command='cd b && python main.py --config=configs/a.py'", "is no config"),
        ("```\npython main.py --config=configs/a.py\n```", "there is no config configs/a.py"),
        ("So `python main.py\n--config=configs/a.py` it is.", "there is no config configs/a.py"),
        (f"{ROW} \\\n        --spilt=test", "there is no flag --spilt"),
        ("    python -m benchmarks.speed.lstn", "there is no module benchmarks.speed.lstn"),
        ("    python -m benchmarks.speed.lstm --dtipe=a", "has no option --dtipe=a"),
        ("    python -m pytest tests/modles -q", "there is no tests/modles"),
    ],
)
def test_a_wrong_command_is_reported(text: str, problem: str) -> None:
    (found,) = command_problems(f"Text.\n\n{text}\n")
    assert problem in found


@pytest.mark.parametrize(
    "text",
    [
        f"{ROW}:fast --config.duration='3 epochs' --seed=3  # a comment with 'an open quote",
        "    python main.py --config=configs/sweeps/cells.py --sweep_shard=$TASK/$COUNT",
        "    python main.py --config=CONFIG --config.seed=SEED --workdir=runs/SEED",
        "    python main.py --config=configs/row_lstm.py --config.x.y=VALUE",
        "    seqvision --config=row_lstm:fast --mode=evaluate --split=validation | head",
        "    pip install seqvision && cd seqvision && ls",
        "    python -m benchmarks.speed.lstm --torch_python=PYTHON --help",
    ],
)
def test_a_right_command_is_not_reported(text: str) -> None:
    assert command_problems(f"Text.\n\n{text}\n") == []


def test_every_kind_of_command_is_found() -> None:
    code = code_of(
        f"""Text `seqvision --help`.

{ROW}
    mpirun -n 8 python main.py --config=a && python -m seqvision --config=b

```
python -m benchmarks.speed.lstm
```
"""
    )
    programs = [call.program for _, call in calls(code) if call is not None]
    assert programs == [
        "main.py",
        "main.py",
        "seqvision",
        "-m benchmarks.speed.lstm",
        "seqvision",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`--host_device=1`", "there is no flag --host_device"),
        ("`--invert=always --splits=test`", "there is no flag --splits"),
        ("`--config.data.nam=mnist`", "config.data.nam: no such field"),
        ("`config.data.nam`", "there is no field config.data.nam"),
        ("`config.model.cell=gur`", "'gur' is not known"),
        ("`config.data.window=-1`", "-1 is out of range"),
        ("`seqvision/config/skema.py`", "there is no such file"),
        ("`benchmarks/results/tabel-*`", "there is no such file"),
        ("`configs/row_lstm.py:fats`", "'fats' is not known"),
        ("    bash benchmarks/slurm/no_machine.sh start", "there is no such script"),
    ],
)
def test_a_wrong_name_is_reported(text: str, problem: str) -> None:
    (found,) = name_problems(f"\n{text}\n")
    assert problem in found


def test_a_right_name_is_not_reported() -> None:
    right = "`--seed=3` `config.data` `config.data.window=16` `--torch_python=PYTHON` `configs/`"
    assert (
        name_problems(f"{right} `config.x.y=...` `configs/row_lstm.py:fast` `seqvision/NAME.py`")
        == []
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[a](docs/nothing.md)", "there is no such file"),
        ("[a](docs/speed.md#nothing)", "there is no such heading"),
        ("## One\n\n[a](#two)", "there is no such heading"),
    ],
)
def test_a_broken_link_is_reported(text: str, problem: str) -> None:
    (found,) = link_problems(text, README)
    assert problem in found


def test_a_sound_link_is_not_reported() -> None:
    text = "## One, `two`\n\n[a](#one-two) [b](docs/speed.md) [c](https://a.org/b) `[d](e)`"
    assert link_problems(text, README) == []


def test_slugs_are_those_of_github() -> None:
    text = "# GPU and TPU\n## ... a cell\n## Time to 98.5 %\n## A\n## A\n```\n# no heading\n```"
    assert slugs(text) == {"gpu-and-tpu", "-a-cell", "time-to-985-", "a", "a-1"}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from seqvision import Predictr", "seqvision has no Predictr"),
        ("from seqvision import config", "seqvision has no config"),
        ("from seqvision.models import create_modle", "seqvision.models has no create_modle"),
        ("from seqvision.config.schema import Settings", "is not public"),
        ("import seqvision.train", "is not public"),
        ("from configs import row_lstmx", "is not public"),
        ("from seqvision import (", "is not Python"),
    ],
)
def test_a_wrong_import_is_reported(source: str, problem: str) -> None:
    (found,) = import_problems(source)
    assert problem in found


def test_a_right_import_is_not_reported() -> None:
    names = ", ".join(PUBLIC_NAMES)
    assert import_problems(f"from seqvision import {names}\nfrom configs import row_lstm") == []
    assert import_problems("from seqvision.config.schema import Settings", public_only=False) == []
