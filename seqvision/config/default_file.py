"""The text of `configs/default.py`, made from the schema."""

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from seqvision.config.durations import Duration, describe
from seqvision.config.schema import Settings

_INDENT = "    "
_LINE_LENGTH = 100
_HEAD = '''\
"""Every field of a config: its default, its unit and its meaning.

Other configs start from this one and change a few fields. A duration is text: a number and a unit
(`steps`, `epochs`, `examples`, or `%` of the whole training), or `never`.

Generated from `seqvision/config/schema.py`; after a change there:

    python -m seqvision.config.schema > configs/default.py
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    config = ConfigDict()

'''


def default_file() -> str:
    """A Python file with `get_config()`: every field, with its meaning as a comment."""
    lines = [f"{_INDENT}{line}".rstrip() for line in _section(Settings, "config")]
    return _HEAD + "\n".join([*lines, "", f"{_INDENT}return config", ""])


def _section(cls: Any, path: str) -> Iterator[str]:
    meanings = _meanings(cls)
    for field in dataclasses.fields(cls):
        name = f"{path}.{field.name}"
        if dataclasses.is_dataclass(field.default_factory):
            yield ""
            yield f"{name} = ConfigDict()"
            yield from _section(field.default_factory, name)
        else:
            yield from _comment(meanings[field.name])
            yield f"{name} = {_literal(field.default)}"


def _meanings(cls: Any) -> dict[str, str]:
    """The text on each field in a class's docstring; "" of those listed after another: `a, b:`."""
    attributes = (inspect.getdoc(cls) or "").partition("Attributes:\n")[2]
    meanings: dict[str, str] = {}
    for entry in re.split(r"^  (?=\w)", attributes, flags=re.MULTILINE)[1:]:
        names, _, meaning = entry.partition(":")
        first, *others = names.split(", ")
        meanings |= {first: " ".join(meaning.split()), **dict.fromkeys(others, "")}
    return meanings


def _comment(meaning: str) -> list[str]:
    space = "\N{NO-BREAK SPACE}"  # "(0 = none)" stays in one line.
    lines = textwrap.wrap(
        meaning.replace(" = ", f"{space}={space}"),
        width=_LINE_LENGTH - len(_INDENT),
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(space, " ") for line in lines]


def _literal(value: Any) -> str:
    if isinstance(value, Duration):
        value = describe(value)
    if isinstance(value, str):
        return f'"{value}"'
    if type(value) is int and value >= 1_000_000:
        return f"{value:_}"
    return repr(value)
