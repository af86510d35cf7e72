"""Typed, validated settings from a ConfigDict.

No jax import here: a bad config ends in well under a second, before anything is written.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from seqvision.config.bounds import AllIn, Bound, OneOf, Range
from seqvision.config.durations import Duration, describe
from seqvision.config.rules import check_together
from seqvision.config.schema import Settings
from seqvision.errors import UserError, did_you_mean


def validate(config: ConfigDict | Settings) -> Settings:
    """Checks every key, type and bound, then the rules between fields.

    Args:
      config: see `configs/default.py`; settings that were validated are returned as they are.

    Raises:
      UserError: one line with the key, the value, what is allowed and the nearest right name.
    """
    if isinstance(config, Settings):
        return config
    settings = _section(Settings, config, "config")
    check_together(settings)
    return settings


def _section(cls: Any, values: Any, path: str) -> Any:
    if not isinstance(values, Mapping | ConfigDict):
        raise UserError(
            f"{path}: {values!r} is not a section; it holds {', '.join(field_names(cls))}"
        )
    types = typing.get_type_hints(cls)
    for key in values:
        if key not in types:
            raise UserError(unknown_key(f"{path}.{key}", list(types)))
    checked = {}
    for field in dataclasses.fields(cls):
        key = f"{path}.{field.name}"
        if field.name not in values:
            raise UserError(f"{key}: missing; take it from configs/default.py")
        kind, value = types[field.name], values[field.name]
        if dataclasses.is_dataclass(kind) and kind is not Duration:
            checked[field.name] = _section(kind, value, key)
        else:
            checked[field.name] = _value(kind, field.metadata["bound"], value, key)
    return cls(**checked)


def _value(kind: type, bound: Bound, value: Any, path: str) -> Any:
    if kind is Duration:
        if not isinstance(value, str):
            raise UserError(f"{path}: {value!r} has no unit; write for example '{value} steps'")
        try:
            return Duration.parse(value)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    if kind is float and type(value) is int:
        value = float(value)
    if kind is tuple and isinstance(value, list):
        value = tuple(value)  # As JSON writes it.
    if type(value) is not kind:
        raise UserError(f"{path}: {value!r} is {a_type(type(value))}; allowed is {a_type(kind)}")
    _check_bound(bound, value, path)
    return value


def _check_bound(bound: Bound, value: Any, path: str) -> None:
    if isinstance(bound, OneOf) and value not in bound.values:
        hint = did_you_mean(value, bound.values) if isinstance(value, str) else ""
        raise UserError(
            f"{path}: '{value}' is not known; choose one of"
            f" {', '.join(map(str, bound.values))}{hint}"
        )
    if isinstance(bound, AllIn) and not (
        value and all(type(v) is int and bound.range.allows(v) for v in value)
    ):
        raise UserError(
            f"{path}: {value!r} is out of range; allowed are one or more ints, each {bound.range},"
            " such as (32, 64)"
        )
    if isinstance(bound, Range) and not bound.allows(value):
        raise UserError(f"{path}: {value!r} is out of range; allowed is {bound}")


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


def with_defaults(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings of which some fields may be missing, which get their defaults."""
    filled = nest(flatten(Settings()))
    for key, value in content.items():
        is_section = isinstance(value, Mapping) and isinstance(filled.get(key), Mapping)
        filled[key] = {**filled[key], **value} if is_section else value
    return filled


# --- wording ---


def field_names(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def a_type(kind: type) -> str:
    return f"an {kind.__name__}" if kind is int else f"a {kind.__name__}"


def unknown_key(path: str, allowed: list[str]) -> str:
    section, _, name = path.rpartition(".")
    others = f"; {section} holds {', '.join(sorted(allowed))}"
    return f"{path}: no such field{did_you_mean(name, allowed, f'{section}.') or others}"
