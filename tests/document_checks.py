"""Problems in Markdown texts: wrong commands, flags, fields, files, links and imports.

Each check takes a text and the path where it lies, and returns one line for each problem. Words in
capitals, `$VARIABLES` and `...` stand for any value.
"""

import ast
import dataclasses
import re
import shlex
import sys
from pathlib import Path
from unittest import mock

from absl.testing import flagsaver

import seqvision
from seqvision.__main__ import MODES
from seqvision.config import command_line
from seqvision.config.flags import own_flags
from seqvision.config.schema import Settings
from seqvision.config.validation import flatten
from seqvision.errors import UserError

PUBLIC_MODULES = ("seqvision.models", "seqvision.decoding", "seqvision.sweeps.search_space")
"""What users import beside `seqvision` and `configs`."""
FOR_DEVELOPERS = ("docs/architecture.md",)
"""They show how to change the package, so they import what is not public."""

_PLACEHOLDER = re.compile(r"\$|\.\.\.|\b[A-Z][A-Z_]+\b")
_FILE = re.compile(r"(\.ci|benchmarks|configs|docs|seqvision|tests)/[\w./*-]*(:[\w,]+)?")
_IMPORT = re.compile(r"^ *(?:from ([\w.]+) )?import (\([^)]*\)|[^;#\n]+)", re.MULTILINE)
# Of a setting alone: whether it goes together with others is not known.
_WRONG_ALONE = re.compile(r"no such field|is not known|out of range|is not an? |; allowed is")


@dataclasses.dataclass(frozen=True)
class Code:
    """The code in a text.

    Attributes:
      lines: of blocks that are not Python, continued lines joined.
      inline: the code that stands in single backquotes.
      python: blocks of Python.
      prose: the text without any of it.
    """

    lines: list[str]
    inline: list[str]
    python: list[str]
    prose: str


def code_of(text: str) -> Code:
    """Fenced blocks, blocks that are indented by four spaces, and inline code."""
    fences = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks = [block for language, block in fences if language != "python"]
    indented = r"(?<=\n\n)((?: {4}.*\n|\n)+)"
    joined = re.sub(r"\\\n\s*", "", "\n".join([*blocks, *re.findall(indented, text)]))
    prose = re.sub(indented, "\n", text)
    return Code(
        lines=[line.strip() for line in joined.splitlines()],
        inline=[" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)],
        python=[block for language, block in fences if language == "python"],
        prose=re.sub(r"`[^`]+`", "", prose),
    )


def calls_in(line: str) -> list[list[str]]:
    """Each call of Python, bash or `seqvision` in a shell line: the program and its arguments.

    Raises:
      ValueError: a quote is open.
    """
    line = re.sub(r"--command='(.*?)'", r"; \1", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    calls, rest = [], list(lexer)
    while rest:
        program = rest.pop(0).rpartition("/")[2]
        if program not in ("python", "python3", "bash", "seqvision") or not rest:
            continue
        ends = (n for n, word in enumerate(rest) if set(word) <= set("&|;<>()"))
        arguments = rest[: next(ends, len(rest))]
        rest = rest[len(arguments) :]
        if program.startswith("python"):
            calls.append([word for word in arguments if word != "-m"])
        elif program == "bash" or (arguments and arguments[0].startswith("--")):
            calls.append([program, *arguments])
    return calls


def command_problems(text: str, path: Path) -> list[str]:
    """Commands whose program, flag, field or value does not exist."""
    code, problems = code_of(text), []
    for line in (*code.lines, *code.inline):
        try:
            found = [problem for call in calls_in(line) for problem in _call_problems(*call)]
        except ValueError:  # An open quote; not all lines are of a shell.
            found = ["a quote is open"] if "python" in line else []
        problems += [f"{line}: {problem}" for problem in found]
    return problems


def _call_problems(program: str, *arguments: str) -> list[str]:
    if program in ("main.py", "seqvision"):
        return [] if "--help" in arguments else _main_problems(*arguments)
    if program in ("bash", "pytest"):
        files = [word for word in arguments if "/" in word and not word.startswith("/")]
        return [f"there is no {file}" for file in files if not Path(file).exists()]
    if program.split(".")[0] not in ("benchmarks", "seqvision", "tests"):
        return []
    file = Path(*program.split(".")).with_suffix(".py")
    if not file.is_file():
        file = Path(*program.split("."), "__main__.py")
    if not file.is_file():
        return [f"there is no module {program}"]
    options, source = [a for a in arguments if a.startswith("--")], file.read_text()
    unknown = [option for option in options if not _is_option(option, source)]
    if "parse_known_args" in source:  # The rest goes to main.py.
        return _main_problems(*unknown)
    return [f"{program} has no option {option}" for option in unknown]


def _main_problems(*arguments: str) -> list[str]:
    """The error of the command line `main.py ARGUMENTS`, if it is one."""
    modes = {name: (*mode.arguments, *mode.place) for name, mode in MODES.items()}
    command = ["main.py", *filter(None, map(_without_placeholder, arguments))]
    # ml_collections reads overrides from `sys.argv`.
    with flagsaver.flagsaver(), mock.patch.object(sys, "argv", command):
        try:
            command_line.parse(command, modes)
        except UserError as error:
            return [str(error)]
    return []


def _without_placeholder(argument: str) -> str:
    """`--config.seed=SEED` with the default in place of SEED; empty for `--config.x=...`."""
    name, _, value = argument.partition("=")
    if not _PLACEHOLDER.search(value) or not name.startswith("--config"):
        return argument
    if name == "--config":
        return "--config=configs/default.py"
    field = name.removeprefix("--config.")
    if set(field) <= set("x.y"):
        return ""
    return f"{name}={flatten(Settings()).get(field)}"


def _is_option(argument: str, source: str) -> bool:
    """Whether the source of a benchmark, or of all of them, names the option `--option[=...]`."""
    name = argument.partition("=")[0]
    source += Path("benchmarks/options.py").read_text()
    endings = tuple(re.findall(r'f"--\{\w+\}(\w+)"', source))  # f"--{library}_python"
    return name == "--help" or f'"{name}"' in source or name.endswith(endings)


def name_problems(text: str, path: Path) -> list[str]:
    """Flags, fields and files in inline code that do not exist."""
    problems = []
    for code in code_of(text).inline:
        found: list[str] = []
        if code.startswith(("--", "config.")) and code != "config.json":
            for word in shlex.split(code):
                found += _setting_problems(word.removeprefix("--"))
        elif _FILE.fullmatch(code) and not _PLACEHOLDER.search(code):
            if ":" in code:
                found = _main_problems(f"--config={code}")
            elif not any(Path().glob(code)):
                found = ["there is no such file"]
        problems += [f"{code}: {problem}" for problem in found]
    return problems


def _setting_problems(setting: str) -> list[str]:
    """Of `flag`, `flag=value`, `config.x` or `config.x=value`, without a command."""
    name, equals, _ = setting.partition("=")
    if name.startswith("config."):
        field = name.removeprefix("config.")
        known = any(f"{key}.".startswith(f"{field}.") for key in flatten(Settings()))
        if not equals:
            return [] if known else ["there is no such field"]
    elif name not in [flag.name for flag in own_flags()]:
        sources = "".join(path.read_text() for path in Path("benchmarks").rglob("*.py"))
        return [] if _is_option(f"--{name}", sources) else [f"there is no flag --{name}"]
    elif not equals:
        return []
    problems = _main_problems("--config=configs/default.py", f"--{setting}")
    return [problem for problem in problems if _WRONG_ALONE.search(problem)]


def slugs(text: str) -> list[str]:
    """The anchors of a text's headings, as GitHub makes them."""
    found: list[str] = []
    unfenced = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ +(.*?)\s*$", unfenced, re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{words}-{found.count(words)}" if words in found else words)
    return found


def link_problems(text: str, path: Path) -> list[str]:
    """Relative links that lead nowhere."""
    problems = []
    for target in re.findall(r"\]\((?![a-z]+:)([^)\s]+)\)", code_of(text).prose):
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists():
            problems.append(f"{target}: there is no such file")
        elif anchor and anchor not in slugs(file.read_text() if name else text):
            problems.append(f"{target}: there is no such heading")
    return problems


def import_problems(text: str, path: Path) -> list[str]:
    """Imports in blocks of Python that fail, or that take from seqvision what is not public."""
    problems = []
    for block in code_of(text).python:
        try:
            ast.parse(block)
        except SyntaxError as error:
            problems.append(f"{error.text}: it is no Python")
        else:
            problems += statement_problems(block, str(path) not in FOR_DEVELOPERS)
    return problems


def statement_problems(source: str, public_only: bool = True) -> list[str]:
    """The import statements of Python or notebook code, executed one by one."""
    problems = []
    for module, names in _IMPORT.findall(source):
        statement = f"from {module} import {names}" if module else f"import {names}"
        public = module in PUBLIC_MODULES
        if module == "seqvision":
            public = set(re.findall(r"\w+", names)) <= set(seqvision.__all__)
        if public_only and (module or names).startswith("seqvision") and not public:
            problems.append(f"{statement}: it is not public")
        try:
            exec(statement, {})
        except ImportError as error:
            problems.append(f"{statement}: {error}")
    return problems
