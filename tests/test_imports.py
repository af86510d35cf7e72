"""Imports between packages, sizes of files, and what the core needs."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import seqvision

PACKAGE = Path("seqvision")
# `importing` is the mode `import`, which is a word of Python.
MODES = (
    *("train", "evaluate", "predict", "read", "features", "export", "importing", "serve"),
    *("report", "explain", "sweep", "table"),
)
# Imports point one way: a package may import those before it, and itself.
ORDER = (
    ("errors", "shapes"),
    ("metrics", "profiling", "weights"),
    ("decoding",),
    ("config",),
    ("runtime",),
    ("models",),
    ("onnx", "data"),
    ("tasks",),
    ("training",),
    ("runs",),
    ("inference",),
    ("exporters",),
    ("web", "sweeps", "tables"),
    ("reports",),
    MODES,
    ("__main__",),
)


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def package(path: Path) -> str:
    """The package that a module is in; of a module of the top level its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_one_way() -> None:
    for path in modules():
        [level] = [number for number, row in enumerate(ORDER) if package(path) in row]
        names = imported(path)
        packages = {
            name.split(".")[1]
            for name in names
            if name.startswith("seqvision.") and name != "seqvision.__version__"
        }
        assert packages <= set().union(*ORDER[: level + 1]), path
        others = ("configs", "tests", "benchmarks")
        assert not {name for name in names if name.split(".")[0] in others}, path


def test_stored_weights_are_read_without_the_rest() -> None:
    for path in (PACKAGE / "weights").rglob("*.py"):
        own = {name for name in imported(path) if name.startswith("seqvision.")}
        assert {name.split(".")[1] for name in own} <= {"weights", "errors"}, path


def test_the_top_level_holds_the_modes_and_little_else() -> None:
    assert len(ORDER) <= 16
    top = {path.stem for path in PACKAGE.glob("*.py")}
    assert top == {"__init__", "__main__", *MODES, "errors", "shapes"}


def test_files_and_functions_are_short() -> None:
    """Docstrings do not count. A longer function gives its reason in a line `# Long: ...`."""
    for path in [*modules(), PACKAGE / "__init__.py"]:
        text = path.read_text()
        lines = text.splitlines()
        assert len(lines) <= 350, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                own = lines[node.lineno - 1 : node.end_lineno]
                documentation = (ast.get_docstring(node, clean=False) or "").splitlines()
                count = len(own) - len(documentation)
                has_reason = any(line.strip(" #").startswith("Long: ") for line in own)
                assert count <= 60 or has_reason, f"{path}: {node.name} has {count} lines"


def test_files_of_tests_are_short() -> None:
    for path in Path("tests").rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 400, path


def test_configs_import_only_ml_collections_combinators_and_each_other() -> None:
    for path in Path("configs").rglob("*.py"):
        described = ("seqvision.sweeps.search_space", "seqvision.tables.rows")
        names = {n for n in imported(path) if not n.startswith(described)}
        assert {name.split(".")[0] for name in names} <= {"ml_collections", "configs"}, path


def test_a_sweep_is_described_in_the_standard_library_alone() -> None:
    for file in ("sweeps/search_space.py", "tables/rows.py"):
        names = {name.split(".")[0] for name in imported(PACKAGE / file)}
        assert names <= set(sys.stdlib_module_names)


def run_with_blocked(tmp_path: Path, blocked: list[str], code: str) -> str:
    """Runs code in a fresh interpreter in which importing any of `blocked` fails."""
    for name in blocked:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is blocked')")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    result = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_core_needs_neither_tensorflow_nor_pytorch(tmp_path: Path) -> None:
    extras = ("plots.py", "onnx", "onnx_reader.py", "exporters", "web", "reports")
    core = [path for path in modules() if not set(path.parts) & set(extras)]
    names = [".".join(path.with_suffix("").parts) for path in core]
    names = [name.removesuffix(".__init__") for name in names]
    code = f"import importlib, main; [importlib.import_module(n) for n in {names}]; print('all')"
    # Checkpoints import orbax where they are opened: it takes long.
    blocked = ["tensorflow", "torch", "orbax", "tensorstore", "matplotlib", "sklearn"]
    assert run_with_blocked(tmp_path, blocked, code).strip() == "all"


def test_the_benchmark_itself_needs_the_standard_library_alone(tmp_path: Path) -> None:
    blocked = ["jax", "flax", "numpy", "torch", "keras", "absl", "ml_collections"]
    code = "from benchmarks.speed import lstm; lstm.main(['--list', '--only=H=64 B=128 T'])"
    assert "lstm training H=64 B=128" in run_with_blocked(tmp_path, blocked, code)


def test_peers_do_without_seqvision() -> None:
    own = ["seqvision_steps.py", "seqvision_features.py", "__init__.py"]
    benchmarks = Path("benchmarks")
    peers = [*benchmarks.glob("accuracy/*.py"), *benchmarks.glob("speed/contenders/*.py")]
    assert len(peers) == 16
    for path in [path for path in peers if path.name not in own]:
        assert not {name for name in imported(path) if name.split(".")[0] == "seqvision"}


def test_a_config_is_checked_without_jax(tmp_path: Path) -> None:
    code = (
        "import main, seqvision.config.flags, seqvision.config.command_line;"
        "from seqvision.config.validation import validate;"
        "from configs import row_lstm;"
        "print(validate(row_lstm.get_config()).data.name);"
        "import seqvision.sweeps.plan, configs.sweeps.cells"
    )
    assert run_with_blocked(tmp_path, ["jax", "flax", "optax"], code).strip() == "mnist"


def test_modes_start_without_what_takes_long_to_import(tmp_path: Path) -> None:
    slow = [
        "jax.experimental.pallas",
        "scipy.special",
        "scipy.ndimage",
        "orbax",
        "tensorflow_datasets",
        "grain",
    ]
    code = (
        "import sys, seqvision.evaluate, seqvision.predict, seqvision.read;"
        "assert 'optax' not in sys.modules; import seqvision.train;"
        f"print(*[name for name in {slow} if name in sys.modules])"
    )
    assert run_with_blocked(tmp_path, [], code).strip() == ""


def test_only_what_writes_checkpoints_imports_orbax() -> None:
    """Reading them starts sooner without."""
    names = {path.relative_to(PACKAGE).as_posix(): imported(path) for path in modules()}
    orbax = {name for used in names.values() for name in used if name.startswith("orbax.check")}
    users = {path for path, used in names.items() if used & orbax}
    assert users == {"runs/checkpoint.py"}
    writers = {path for path, used in names.items() if "seqvision.runs.checkpoint" in used}
    assert writers == {"train.py", "importing.py"}


def test_the_public_names_come_without_jax_until_they_are_used(tmp_path: Path) -> None:
    code = (
        "import seqvision; from seqvision import UserError, prepare_host;"
        "assert set(seqvision.__all__) <= set(dir(seqvision));"
        "print(*sorted(seqvision.__all__))"
    )
    names = run_with_blocked(tmp_path, ["jax", "flax", "numpy", "ml_collections"], code).split()
    assert names == sorted(seqvision.__all__)
    with pytest.raises(AttributeError, match="'seqvision' has no attribute 'Predicter'"):
        _ = seqvision.Predicter


@pytest.mark.parametrize("name", seqvision.__all__)
def test_a_public_name(name: str) -> None:
    assert getattr(seqvision, name) is not None
