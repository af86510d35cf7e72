"""A ConfigDict from `configs/` becomes typed, validated settings.

No jax import here: a bad config ends in well under a second, before anything is written.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from ml_collections import ConfigDict

from seqvision.config.durations import Duration, describe
from seqvision.config.rules import check_together
from seqvision.config.schema import AllIn, OneOf, Range, Settings
from seqvision.errors import UserError, did_you_mean


def validate(config: ConfigDict) -> Settings:
    """Checks every key, type and bound, then the rules between fields.

    Raises:
      UserError: one line with the key, the value, what is allowed and the nearest right name.
    """
    settings = _section(Settings, config, "config")
    check_together(settings)
    return settings


def _section(cls: Any, values: Any, path: str) -> Any:
    if not isinstance(values, Mapping | ConfigDict):
        raise UserError(
            f"{path}: {values!r} is not a section; it holds {', '.join(field_names(cls))}"
        )
    hints = typing.get_type_hints(cls, include_extras=True)
    for key in values:
        if key not in hints:
            raise UserError(unknown_key(f"{path}.{key}", list(hints)))
    for key in hints:
        if key not in values:
            raise UserError(f"{path}.{key}: missing; take it from configs/default.py")
    return cls(**{key: _value(hint, values[key], f"{path}.{key}") for key, hint in hints.items()})


def _value(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and hint is not Duration:
        return _section(hint, value, path)
    rule = None
    if typing.get_origin(hint) is Annotated:
        hint, rule = typing.get_args(hint)
    if hint is Duration:
        if not isinstance(value, str):
            raise UserError(f"{path}: {value!r} has no unit; write for example '{value} steps'")
        try:
            return Duration.parse(value)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    if hint is float and type(value) is int:
        value = float(value)
    if hint is tuple and isinstance(value, list):
        value = tuple(value)  # As JSON writes it.
    if type(value) is not hint:
        raise UserError(f"{path}: {value!r} is {a_type(type(value))}; allowed is {a_type(hint)}")
    if isinstance(rule, OneOf) and value not in rule.names:
        hint = did_you_mean(value, rule.names) if isinstance(value, str) else ""
        raise UserError(
            f"{path}: '{value}' is not known; choose one of {', '.join(map(str, rule.names))}{hint}"
        )
    if isinstance(rule, AllIn) and not (
        value and all(type(v) is int and rule.range.allows(v) for v in value)
    ):
        raise UserError(
            f"{path}: {value!r} is out of range; allowed are one or more ints, each {rule.range},"
            " such as (32, 64)"
        )
    if isinstance(rule, Range) and not rule.allows(value):
        raise UserError(f"{path}: {value!r} is out of range; allowed is {rule}")
    return value


# --- settings as plain values ---


def flatten(settings: Any, path: str = "") -> dict[str, Any]:
    """Settings as `{"data.batch_size": 256, ...}`, durations as text."""
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value, key = getattr(settings, field.name), f"{path}{field.name}"
        if isinstance(value, Duration):
            flat[key] = describe(value)
        elif dataclasses.is_dataclass(value):
            flat.update(flatten(value, f"{key}."))
        else:
            flat[key] = value
    return flat


def nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`, as nested dicts."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        *sections, name = key.split(".")
        section = nested
        for part in sections:
            section = section.setdefault(part, {})
        section[name] = value
    return nested


# --- wording ---


def field_names(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def a_type(kind: type) -> str:
    return f"an {kind.__name__}" if kind is int else f"a {kind.__name__}"


def unknown_key(path: str, allowed: list[str]) -> str:
    section, _, name = path.rpartition(".")
    others = f"; {section} holds {', '.join(sorted(allowed))}"
    return f"{path}: no such field{did_you_mean(name, allowed, f'{section}.') or others}"
