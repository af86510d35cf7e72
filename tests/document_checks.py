"""Problems in Markdown texts: wrong commands, flags, fields, files, links and imports.

Each `*_problems` function takes a text, so that it can be tried on texts that are wrong, and
returns one line for each problem. Words in capitals, `$VARIABLES` and `...` are placeholders.
"""

import ast
import functools
import importlib
import importlib.util
import re
import shlex
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from seqvision.__main__ import MODES
from seqvision.config.command_line import check_override
from seqvision.config.validation import validate
from seqvision.errors import UserError
from tests.markdown_code import calls, code_of

PUBLIC_MODULES = (
    "seqvision",
    "seqvision.models",
    "seqvision.decoding",
    "seqvision.sweeps.search_space",
)
"""What users import. Texts for those who change the package may import anything."""

_PLACEHOLDER = re.compile(r"\$|\.\.\.|\b[A-Z][A-Z_]+\b")
_FIELD = re.compile(r"config(?!\.json)(\.[a-z_]\w*)+(=.*)?")
_FILE = re.compile(r"(\.ci|benchmarks|configs|docs|seqvision|tests)/[\w./*-]*(:[\w,]+)?")
_WRONG_VALUE = re.compile(r"is not known|out of range|is not a duration|; allowed is|is not an? ")


# --- commands ---


@functools.cache
def main_flags() -> dict[str, flags.Flag]:
    """The flags that `main.py` defines, by name."""
    importlib.import_module("seqvision.__main__")
    module = flags.FLAGS.find_module_defining_flag("mode")
    own = flags.FLAGS.flags_by_module_dict()[module]
    return {flag.name: flag for flag in own if flag.name != "config"}


def command_problems(text: str) -> list[str]:
    """Commands whose file, flag, field or value there is not."""
    problems = []
    for line, call in calls(code_of(text)):
        if call is None:
            found = ["a quote is open"]
        elif call.program in ("main.py", "seqvision"):
            found = _main_problems(call.arguments, installed=call.program == "seqvision")
        else:
            found = _module_problems(call.program.removeprefix("-m "), call.arguments)
        problems += [f"{line}: {problem}" for problem in found]
    return problems


def _main_problems(arguments: tuple[str, ...], installed: bool = False) -> list[str]:
    problems, path, overrides = [], "", {}
    for argument in arguments:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not argument.startswith("--"):
            problems.append(f"'{argument}' is no flag")
        elif name == "config":
            path = re.sub(r"^([\w/]+)", r"configs/\1.py", value) if installed else value
        elif name.startswith("config."):
            overrides[name.removeprefix("config.")] = value
        elif name != "help":
            problems += _flag_problems(name, value if equals else None)
    if not path:
        return [*problems, *(["--config is missing"] if "--help" not in arguments else [])]
    return problems + _config_problems(path, overrides)


def _flag_problems(name: str, value: str | None) -> list[str]:
    flag = main_flags().get(name)
    if flag is None:
        return [f"there is no flag --{name}"]
    if value is None:
        return [] if flag.boolean else [f"--{name} has no value"]
    if _PLACEHOLDER.search(value):
        return []
    if name == "mode" and value not in MODES:
        return [f"--mode={value}: it is none of {', '.join(MODES)}"]
    try:
        flag.parser.parse(value)
    except ValueError as error:
        return [f"--{name}={value}: {error}"]
    return []


def _config_problems(path: str, overrides: dict[str, str]) -> list[str]:
    """Of a config file with its variant, and the fields that the command line sets."""
    if _PLACEHOLDER.search(path):
        path = "configs/default.py"
    file, _, variant = path.partition(":")
    if not file.endswith(".py") or not Path(file).is_file():
        return [f"there is no config {file}"]
    module = ".".join(Path(file).with_suffix("").parts)
    get_config = importlib.import_module(module).get_config
    try:
        config = get_config(variant) if variant else get_config()
    except (ValueError, TypeError) as error:
        return [f"{path}: {error}"]
    return override_problems(config, overrides, any_error=not path.startswith("configs/default"))


def override_problems(config: ConfigDict, overrides: dict[str, str], any_error: bool) -> list[str]:
    """Fields that there are not, and values that they do not take.

    Args:
      config: what is changed.
      overrides: text by dotted name.
      any_error: whether the config has to be valid as a whole.
    """
    for key, text in overrides.items():
        if set(key.split(".")) <= {"x", "y"}:
            continue
        is_placeholder = bool(_PLACEHOLDER.search(text))
        try:
            check_override(config, key, None if is_placeholder else text)
        except UserError as error:
            return [str(error)]
        if not is_placeholder:
            _set(config, key, text)
    try:
        validate(config)
    except UserError as error:
        if any_error or _WRONG_VALUE.search(str(error)):
            return [str(error)]
    return []


def _set(config: ConfigDict, key: str, text: str) -> None:
    """Sets a field from text that `check_override` accepted."""
    *sections, name = key.split(".")
    section: Any = config
    for part in sections:
        section = section[part]
    old = section[name]
    if isinstance(old, bool):
        section[name] = text.lower() in ("true", "1")
    elif isinstance(old, tuple):
        section[name] = ast.literal_eval(text)
    else:
        section[name] = type(old)(text)


def _module_problems(module: str, arguments: tuple[str, ...]) -> list[str]:
    """Of `python -m MODULE ARGUMENTS`."""
    if module == "pytest":
        paths = [argument for argument in arguments if "/" in argument]
        return [f"there is no {path}" for path in paths if not Path(path).exists()]
    if module.split(".")[0] not in ("benchmarks", "seqvision", "tests"):
        return []
    file = Path(*module.split(".")).with_suffix(".py")
    if not file.is_file():
        return [f"there is no module {module}"]
    if not module.startswith("benchmarks."):
        return []
    source = file.read_text()
    known = _options(source)
    others = [a for a in arguments if a.startswith("--") and not known(a[2:].partition("=")[0])]
    if "parse_known_args" in source:  # The rest goes to main.py.
        return _main_problems(tuple(others))
    return [f"{module} has no option {argument}" for argument in others]


def _options(source: str) -> Callable[[str], bool]:
    """Whether a benchmark has an option: it stands in its source, or in that of all benchmarks."""
    shared = [path.read_text() for path in Path("benchmarks").rglob("options.py")]
    text = "\n".join([source, *shared])
    names = {"help", *re.findall(r'"--(\w+)"', text)}
    endings = tuple(re.findall(r'f"--\{\w+\}(\w+)"', text))  # f"--{peer}_python"
    return lambda name: name in names or (bool(endings) and name.endswith(endings))


# --- names in inline code ---


def name_problems(text: str) -> list[str]:
    """Flags, fields and files in inline code, and scripts in commands, that there are not."""
    code, problems = code_of(text), []
    for name in code.inline:
        if name.startswith("--"):
            found = _inline_flag_problems(name)
        elif _FIELD.fullmatch(name):
            found = _field_problems(name)
        elif _FILE.fullmatch(name) and not _PLACEHOLDER.search(name):
            found = _file_problems(name)
        else:
            found = []
        problems += [f"{name}: {problem}" for problem in found]
    for script in re.findall(r"\bbash ([\w/]+\.sh)", "\n".join(code.lines)):
        problems += [] if Path(script).is_file() else [f"{script}: there is no such script"]
    return problems


def _inline_flag_problems(text: str) -> list[str]:
    """Of flags without their command, of main.py or of a benchmark."""
    problems = []
    benchmarks = "\n".join(path.read_text() for path in Path("benchmarks").rglob("*.py"))
    for flag in shlex.split(text):
        name, equals, value = flag.removeprefix("--").partition("=")
        if name.startswith("config."):
            problems += _field_problems(flag.removeprefix("--"))
        elif name == "config":
            problems += _config_problems(value, {}) if equals else []
        elif name in main_flags():
            problems += _flag_problems(name, value) if equals else []
        elif not _options(benchmarks)(name):
            problems.append(f"there is no flag --{name}")
    return problems


def _field_problems(text: str) -> list[str]:
    """Of `config.x.y` or `config.x.y=value`, alone."""
    path, equals, value = text.removeprefix("config.").partition("=")
    config = importlib.import_module("configs.default").get_config()
    if equals:
        return override_problems(config, {path: value}, any_error=False)
    section: Any = config
    for part in path.split("."):
        if set(path.split(".")) <= {"x", "y"}:
            return []
        if not isinstance(section, ConfigDict) or part not in section:
            return [f"there is no field config.{path}"]
        section = section[part]
    return []


def _file_problems(text: str) -> list[str]:
    path, _, variant = text.partition(":")
    if variant:
        return _config_problems(text, {})
    found = any(Path().glob(path)) if "*" in path else Path(path).exists()
    return [] if found else ["there is no such file"]


# --- links ---


def slugs(text: str) -> set[str]:
    """The anchors of a text's headings, as GitHub makes them."""
    found: list[str] = []
    fenced = False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if not fenced and (heading := re.fullmatch(r"#+ +(.*?)\s*", line)):
            words = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
            found.append(f"{words}-{found.count(words)}" if words in found else words)
    return set(found)


def link_problems(text: str, path: Path) -> list[str]:
    """Relative links that lead nowhere.

    Args:
      text: the text.
      path: where it lies.
    """
    problems = []
    for target in re.findall(r"\]\(([^)\s]+)\)", code_of(text).prose):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists():
            problems.append(f"{target}: there is no such file")
        elif anchor and anchor not in slugs(file.read_text() if name else text):
            problems.append(f"{target}: there is no such heading")
    return problems


# --- imports ---


def import_problems(source: str, public_only: bool = True) -> list[str]:
    """Imports from seqvision and configs that there are not.

    Args:
      source: Python.
      public_only: whether `PUBLIC_MODULES` are all that it may import.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [f"line {error.lineno} is not Python: {error.text}"]
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "", alias.name) for alias in node.names]
        else:
            continue
        for module, name in names:
            if module.split(".")[0] == "configs" and importlib.util.find_spec("configs." + name):
                continue
            if module.split(".")[0] in ("configs", "seqvision"):
                problems += _import_problems(module, name, public_only)
    return problems


def _import_problems(module: str, name: str, public_only: bool) -> list[str]:
    if public_only and module not in PUBLIC_MODULES:
        return [f"{module} is not public; choose one of {', '.join(PUBLIC_MODULES)}"]
    try:
        loaded = importlib.import_module(module)
    except ImportError:
        return [f"there is no module {module}"]
    found = getattr(loaded, name, None) if name else loaded
    if found is None or (name and module == "seqvision" and isinstance(found, types.ModuleType)):
        return [f"{module} has no {name}"]
    return []
