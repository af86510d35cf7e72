"""The command line: flags and config overrides, with one clear line for each mistake."""

import ast
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from absl.flags import FLAGS
from ml_collections import ConfigDict, config_flags
from ml_collections.config_dict import RequiredValueError
from ml_collections.config_flags.config_flags import ConfigFileFlagParser

from seqvision.config.flags import check_flags, one_line, own_flags
from seqvision.config.overrides import OF_THE_RUN, check_mode, check_overrides
from seqvision.config.schema import Settings
from seqvision.config.shipped import find_config, make_configs_importable, shipped_names
from seqvision.config.user_path import expanded
from seqvision.config.validation import a_type, unknown_key, validate
from seqvision.errors import UserError

_OF_CONFIG = re.compile(r"--?config(\.[^=]*)?")


def parse(argv: list[str], modes: Mapping[str, Collection[str]]) -> Settings:
    """Parses flags and overrides into `seqvision.config.flags`; the settings of the config.

    Args:
      argv: the program and its arguments.
      modes: the flags of each mode, see `flags.check_flags`.

    Raises:
      UserError: one line that names the flag or key, what was found and what is allowed.
    """
    program, *arguments = argv
    if any(a in ("--help", "-h", "--helpfull", "--helpshort") for a in arguments):
        print(_usage(Path(program).name, modes))
        raise SystemExit(0)
    make_configs_importable()
    arguments = _checked(_with_flagfiles(program, arguments))
    try:
        rest = FLAGS([program, *arguments])[1:]
    except Exception as error:  # absl and config_flags raise many kinds.
        raise UserError(f"{one_line(error)} (--help lists the flags)") from None
    if rest and FLAGS["inputs"].present:
        raise UserError(
            f"'{rest[0]}' is one input too many: --inputs takes one pattern, in quotes, such as"
            " --inputs='digits/*.png'"
        )
    if rest:
        raise UserError(f"'{rest[0]}' is not understood; flags are written --name=value")
    check_flags(modes)
    _check_mode()
    settings = validate(FLAGS.config)
    # A sweep varies fields together, and some of its runs may not read each of them.
    if FLAGS.mode not in ("sweep", "table") and not FLAGS.stop_with_input:
        check_overrides(settings, _changed())
    return settings


def _check_mode() -> None:
    """See `overrides.check_mode`; before all is validated, which may demand fields of no use."""
    if FLAGS.mode in OF_THE_RUN:
        workdir = expanded(FLAGS.workdir or default_workdir(), "--workdir")
        check_mode(FLAGS.mode, _given(), workdir)


def _changed() -> dict[str, Any]:
    """The overrides that are not what the config file has."""
    file = _load(config_path())
    return {name: value for name, value in _given().items() if value != _field(file, name)}


def _given() -> dict[str, Any]:
    """The values of all overrides."""
    return {name: _field(FLAGS.config, name) for name in config_overrides()}


def _field(config: ConfigDict, name: str) -> Any:
    value = config
    for part in name.split("."):
        value = value[part]
    return value


def config_path() -> str:
    """The config file, with its variant."""
    return config_flags.get_config_filename(FLAGS["config"])


def config_overrides() -> dict[str, Any]:
    """What the command line changes of the config, by dotted name."""
    return dict(config_flags.get_override_values(FLAGS["config"]))


def default_workdir() -> str:
    """`runs/row_lstm` for `configs/row_lstm.py`, `runs/row_lstm-book` for its variant `book`."""
    path, _, variant = config_path().partition(":")
    stem = Path(path).stem
    return str(Path("runs") / (f"{stem}-{variant}" if variant else stem))


def this_program() -> list[str]:
    """The command that started this process, without its arguments."""
    program = sys.modules["__main__"]
    file = getattr(program, "__file__", None)
    if file is None or program.__spec__ is not None:  # Such as python -m seqvision.
        return [sys.executable, "-m", "seqvision"]
    return [sys.executable, file]


def _with_flagfiles(program: str, arguments: list[str]) -> list[str]:
    """The arguments, and in place of `--flagfile=FILE` those of the file."""
    if not any(argument.lstrip("-").startswith("flagfile") for argument in arguments):
        return arguments
    try:
        arguments = FLAGS.read_flags_from_files(arguments, force_gnu=False)
    except Exception as error:  # absl raises its own, and those of the file.
        raise UserError(f"--flagfile: {one_line(error)}") from None
    sys.argv = [program, *arguments]  # config_flags reads the overrides there.
    return arguments


def _checked(arguments: list[str]) -> list[str]:
    """The arguments with the config's file in place of its name.

    A wrong key or value is named in more detail than config_flags does.
    """
    joined: list[str] = []
    for argument in arguments:
        if joined and _OF_CONFIG.fullmatch(joined[-1]) and not argument.startswith("-"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    path, overrides = "", []
    for number, argument in enumerate(joined):
        flag, equals, value = argument.partition("=")
        if not _OF_CONFIG.fullmatch(flag):
            continue
        key = flag.lstrip("-").removeprefix("config").removeprefix(".")
        if key and not path:
            raise UserError(
                f"--config.{key}: it stands before --config, or that is missing; name the config"
                f" first, such as {_example()}"
            )
        if key:
            overrides.append((key, value if equals else None))
        elif path:
            raise UserError(f"--config: given twice, as {path} and {value}; choose one")
        elif value:
            path = find_config(value)
            joined[number] = f"--config={path}"
    if not path and _is_of_runs_alone(joined):
        path = find_config("default")
        joined.append(f"--config={path}")
    if not path:
        raise UserError(
            f"--config: missing; name a config, such as {_example()}; shipped are"
            f" {', '.join(shipped_names())}"
        )
    config = _load(path)
    for key, text in overrides:
        check_override(config, key, text)
    return joined


def _is_of_runs_alone(arguments: list[str]) -> bool:
    """Whether runs are named, in a mode that takes nothing of a config."""
    words = " ".join(argument.lstrip("-") for argument in arguments)
    named = re.search(r"(^| )(workdir|inputs)[= ]", words)
    return bool(named and re.search(r"(^| )mode[= ]report( |$)", words))


def _load(path: str) -> ConfigDict:
    """The config as its file gives it, before any override."""
    sys.path.append(str(Path(path.partition(":")[0]).absolute().parent))  # It may import others.
    try:
        config = ConfigFileFlagParser("config").parse(path)
    except SystemExit as error:
        raise UserError(
            f"--config: {path} ends the program (sys.exit({error.code!r})); let get_config() return"
            " a config"
        ) from None
    except RequiredValueError:  # config_flags reads each value before it sets another.
        raise UserError(
            f"--config: {path} has a required_placeholder, which no flag can set; give that field a"
            " value there, or write config_dict.placeholder"
        ) from None
    except Exception as error:  # Whatever the user's Python file raises.
        raise UserError(f"--config: {path} does not load: {one_line(error)}") from None
    if not isinstance(config, ConfigDict):
        raise UserError(
            f"--config: get_config() in {path} returns a {type(config).__name__}; it must return"
            " an ml_collections.ConfigDict"
        )
    return config


def _example() -> str:
    in_clone = Path("configs/row_lstm.py")
    return f"--config={in_clone if in_clone.is_file() else 'row_lstm'}"


def _usage(program: str, modes: Collection[str]) -> str:
    start = {"main.py": "python main.py", "__main__.py": "python -m seqvision"}
    line = f"{start.get(program, program)} --config=NAME[:VARIANT] [--config.x.y=VALUE ...] [flags]"
    lines = [line, ""]
    for flag in own_flags():
        more = f" {', '.join(modes)}." if flag.name == "mode" else ""
        lines.append(f"  --{flag.name:<12} {flag.help}{more}")
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
    path, value, kind = "config", config, ConfigDict
    for name in key.split("."):
        if not isinstance(value, ConfigDict):
            raise UserError(f"{path}.{name}: no such field; {path} is {a_type(type(value))}")
        path = f"{path}.{name}"
        if name not in value:
            raise UserError(unknown_key(path, list(value)))
        kind, value = value.get_type(name), value[name]  # A placeholder has a type, but no value.
    if isinstance(value, ConfigDict):
        raise UserError(
            f"config.{key}: it is a section; set one of its fields, such as"
            f" --config.{key}.{next(iter(value))}=..."
        )
    if text is not None and not _is_value(text, kind):
        allowed = _ALLOWED.get(kind, a_type(kind))
        raise UserError(f"config.{key}: '{text}' is not {allowed}; the default is {value!r}")


_ALLOWED = {bool: "true or false", tuple: "a tuple of ints, such as '(32,)' or '(32, 64)'"}


def _is_value(text: str, kind: type) -> bool:
    """Whether a text stands for a value of this type."""
    if kind is bool:
        return text.lower() in ("true", "false", "1", "0")
    try:
        if kind is tuple:
            value = ast.literal_eval(text)
            return isinstance(value, tuple) and all(type(part) is int for part in value)
        kind(text)
    except (ValueError, SyntaxError):
        return False
    return True
