"""The code in a Markdown text, and the calls of this project's programs in it."""

import dataclasses
import re
import shlex
from collections.abc import Iterator


@dataclasses.dataclass(frozen=True)
class Code:
    """The code in a text.

    Attributes:
      lines: of blocks that are not Python, continued lines joined.
      inline: what stands in single backquotes.
      python: blocks of Python.
      prose: the text without any of it.
    """

    lines: tuple[str, ...]
    inline: tuple[str, ...]
    python: tuple[str, ...]
    prose: str


def code_of(text: str) -> Code:
    """Fenced blocks, blocks that are indented by four spaces, and inline code."""
    lines: list[str] = []
    blocks: list[str] = []
    prose: list[str] = []
    fence, before = None, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fence = None if fence is not None else line.strip().strip("`")
            if fence == "python":
                blocks.append("")
        elif fence == "python":
            blocks[-1] += line + "\n"
        elif fence is not None or _is_indented(line, before):
            lines.append(line)
        else:
            prose.append(line)
        before = line
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    inline = re.findall(r"`([^`]+)`", "\n".join(prose))
    return Code(
        lines=tuple(line.strip().removeprefix("$ ") for line in joined),
        inline=tuple(re.sub(r"\s*\n\s*", " ", code) for code in inline),
        python=tuple(blocks),
        prose=re.sub(r"`[^`]+`", "", "\n".join(prose)),
    )


def _is_indented(line: str, before: str) -> bool:
    """Whether a line is code by its indentation; `before` is the line before it."""
    return line.startswith("    ") and (not before.strip() or before.startswith("    "))


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a shell line, those in quotes after `--command=` too.

    Raises:
      ValueError: a quote is open.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("&|;<>()"):
            yield words
            words = []
        else:
            words.append(word)
            if re.search(r"python3? .*main\.py", word):
                yield from simple_commands(word.partition("=")[2])


@dataclasses.dataclass(frozen=True)
class Call:
    """A program that the project knows: `main.py`, `seqvision`, or a module after `-m`."""

    program: str
    arguments: tuple[str, ...]


def call_in(words: list[str]) -> Call | None:
    """The call of Python or of `seqvision` in a command, behind any launcher."""
    for place, word in enumerate(words):
        name, rest = word.rpartition("/")[2], words[place + 1 :]
        if name in ("python", "python3") and rest:
            if rest[0] == "main.py":
                return Call("main.py", tuple(rest[1:]))
            if rest[0] == "-m" and len(rest) > 1:
                program = "seqvision" if rest[1] == "seqvision" else f"-m {rest[1]}"
                return Call(program, tuple(rest[2:]))
            return None
        if name == "seqvision" and rest and rest[0].startswith("--"):
            return Call("seqvision", tuple(rest))
    return None


def calls(code: Code) -> Iterator[tuple[str, Call | None]]:
    """Each line or inline code with the calls in it; None where its quotes are open."""
    for line in (*code.lines, *code.inline):
        if not re.search(r"\bpython3?\b|\bseqvision +--", line):
            continue
        try:
            found = [call_in(words) for words in simple_commands(line)]
        except ValueError:
            yield line, None
            continue
        for call in found:
            if call is not None:
                yield line, call
