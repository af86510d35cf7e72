"""Flags and config overrides, with one clear line for each mistake."""

import ast
import re
import sys
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from seqvision.config.validation import a_type, unknown_key, validate
from seqvision.errors import UserError, did_you_mean


def define_config(name: str, meaning: str) -> flags.FlagHolder:
    """A flag that names a config file and takes overrides: `--config=FILE --config.x.y=VALUE`."""
    try:
        return config_flags.DEFINE_config_file(name, None, meaning)
    except flags.Error as error:  # It reads the command line already here: --flagfile.
        print(f"error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def parse(argv: list[str], name: str = "config") -> None:
    """Parses flags and overrides into `flags.FLAGS`, and checks the config they make.

    Raises:
      UserError: one line that names the flag or key, what was found and what is allowed.
    """
    arguments = argv[1:]
    if any(a in ("--help", "-h", "--helpfull", "--helpshort") for a in arguments):
        print(_usage())
        raise SystemExit(0)
    _check_overrides(arguments, name)
    try:
        rest = flags.FLAGS(argv)[1:]
    except Exception as error:  # absl and config_flags raise many kinds.
        raise UserError(f"{_one_line(error)} (--help lists the flags)") from None
    if rest:
        raise UserError(f"'{rest[0]}' is not understood; flags are written --name=value")
    validate(flags.FLAGS[name].value)


def config_path(holder: flags.FlagHolder) -> str:
    """The config file as it was named, with its variant."""
    return config_flags.get_config_filename(flags.FLAGS[holder.name])


def config_overrides(holder: flags.FlagHolder) -> dict[str, Any]:
    """What the command line changes of the config, by dotted name."""
    return dict(config_flags.get_override_values(flags.FLAGS[holder.name]))


def default_workdir(holder: flags.FlagHolder) -> str:
    """`runs/row_lstm` for `configs/row_lstm.py`, `runs/row_lstm-book` for its variant `book`."""
    path, _, variant = config_path(holder).partition(":")
    stem = Path(path).stem
    return str(Path("runs") / (f"{stem}-{variant}" if variant else stem))


def _check_overrides(arguments: list[str], name: str) -> None:
    """Names a wrong key or value in more detail than config_flags does."""
    path, overrides, position = None, [], 0
    while position < len(arguments):
        flag, equals, value = arguments[position].partition("=")
        flag = "--" + flag.lstrip("-") if flag.startswith("-") else flag
        position += 1
        text: str | None = value if equals else None
        if not equals and position < len(arguments) and not arguments[position].startswith("-"):
            text = arguments[position]
        if flag == f"--{name}":
            if path is not None:
                raise UserError(f"--{name}: given twice, as {path} and {text}; choose one")
            path = text
        elif flag.startswith(f"--{name}."):
            if path is None:
                raise UserError(
                    f"{flag}: it stands before --{name}, or that is missing; name the config file"
                    f" first, such as --{name}=configs/row_lstm.py"
                )
            overrides.append((flag.removeprefix(f"--{name}."), text))
    if not path:
        raise UserError(
            f"--{name}: missing; name a config file, such as --{name}=configs/row_lstm.py"
            f"{_choices(Path('configs'))}"
        )
    config = _load(path, name)
    for key, text in overrides:
        check_override(config, key, text)


def _load(path: str, name: str) -> ConfigDict:
    """The config as its file gives it, before any override."""
    file = Path(path.partition(":")[0])
    if not file.is_file():
        folder = f"{file.parent}/" if file.parent != Path() else ""
        nearest = did_you_mean(file.name, _names(file.parent), folder)
        hint = nearest or _choices(file if file.is_dir() else file.parent)
        raise UserError(f"--{name}: there is no file '{file}'{hint}")
    try:
        config = ConfigFileFlagParser(name).parse(path)
    except Exception as error:  # Whatever the user's Python file raises.
        raise UserError(f"--{name}: {path} does not load: {_one_line(error)}") from None
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"--{name}: get_config() in {file} returns a {type(config).__name__}; it must return"
            " an ml_collections.ConfigDict"
        )
    return config


def _names(folder: Path) -> list[str]:
    return sorted(
        path.name
        for path in folder.glob("*.py")
        if path.name != "default.py" and "def get_config" in path.read_text(errors="replace")
    )


def _choices(folder: Path) -> str:
    names = _names(folder)
    return f"; {folder} holds {', '.join(names)}" if names else ""


def _one_line(error: BaseException) -> str:
    """The last line of a message: config_flags puts a whole traceback before it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = lines[-1] if lines else type(error).__name__
    return re.sub(r"^(ValueError|FATAL Flags parsing error): ", "", last)


def _usage() -> str:
    module = flags.FLAGS.find_module_defining_flag("mode") or ""
    own = flags.FLAGS.flags_by_module_dict().get(module, [])
    lines = [
        "python main.py --config=configs/NAME.py[:VARIANT] [--config.x.y=VALUE ...] [flags]",
        "",
    ]
    lines += [f"  --{flag.name:<12} {flag.help}" for flag in own]
    return "\n".join([*lines, "", "configs/default.py lists every field of a config."])


def check_override(config: ConfigDict, key: str, text: str | None) -> None:
    """Checks `--config.KEY=TEXT` against the field it names, before it is applied.

    Args:
      config: the config as its file gives it.
      key: the dotted name without `config.`.
      text: what stands behind `=`; None where there is no `=`.

    Raises:
      UserError: no such field, a whole section, or text that is not of the field's type.
    """
    names = key.split(".")
    value: Any = config
    for depth, name in enumerate(names):
        path = ".".join(["config", *names[: depth + 1]])
        if not isinstance(value, ConfigDict):
            parent = ".".join(["config", *names[:depth]])
            raise UserError(f"{path}: no such field; {parent} is {a_type(type(value))}")
        if name not in value:
            raise UserError(unknown_key(path, list(value)))
        value = value[name]
    if isinstance(value, ConfigDict):
        raise UserError(
            f"config.{key}: it is a section; set one of its fields, such as"
            f" --config.{key}.{next(iter(value))}=..."
        )
    if text is None:
        return
    try:
        if isinstance(value, bool):
            if text.lower() not in ("true", "false", "1", "0"):
                raise ValueError
        elif isinstance(value, tuple):
            parsed = ast.literal_eval(text)
            if not isinstance(parsed, tuple) or not all(type(part) is int for part in parsed):
                raise ValueError
        else:
            type(value)(text)
    except (ValueError, SyntaxError):
        allowed = a_type(type(value))
        if isinstance(value, bool):
            allowed = "true or false"
        elif isinstance(value, tuple):
            allowed = "a tuple of ints, such as '(32,)' or '(32, 64)'"
        raise UserError(
            f"config.{key}: '{text}' is not {allowed}; the default is {value!r}"
        ) from None
