"""Command lines whose mistakes are one line, and results that are not overwritten by chance."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from seqvision.errors import UserError, did_you_mean

RESULTS = Path(__file__).parent / "results"
PYTHON_VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


class Parser(argparse.ArgumentParser):
    """Options written `--name=value`.

    Args:
      module: whose command line it is.
      description: what the command does, shown as it stands.
    """

    def __init__(self, module: str, description: str) -> None:
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists the options)")


def add_pythons(parser: argparse.ArgumentParser) -> None:
    """Options for peers that are installed elsewhere."""
    for peer in ("torch", "keras"):
        parser.add_argument(
            f"--{peer}_python",
            default=sys.executable,
            metavar="PYTHON",
            help=f"the interpreter that has {peer}; by default this one",
        )


def add_name(parser: argparse.ArgumentParser, parts: str) -> None:
    """Options for where the results go; `parts` says what the default name is made of."""
    parser.add_argument("--name", default="", help=f"of the results; by default from {parts}")
    parser.add_argument("--overwrite", action="store_true", help="replace results of that name")


def names(text: str, option: str, allowed: tuple[str, ...]) -> list[str]:
    """`a,b` as a list.

    Raises:
      UserError: one of the names is not allowed.
    """
    chosen = text.split(",")
    for name in chosen:
        if name not in allowed:
            hint = did_you_mean(name, allowed)
            raise UserError(f"{option}: '{name}' is not known; it takes {', '.join(allowed)}{hint}")
    return list(dict.fromkeys(chosen))


def pattern(text: str) -> re.Pattern[str]:
    """For argparse: a regular expression."""
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{text}' is no regular expression: {error}") from None


def positive(text: str) -> float:
    """For argparse: a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return value


def count(text: str) -> int:
    """For argparse: a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0")
    return value


def check_free(name: str, overwrite: bool) -> None:
    """Raises UserError where there are results of that name, or the name is a path."""
    if Path(name).name != name:
        raise UserError(f"--name: '{name}' is a path; it is a name in {RESULTS.name}/")
    path = RESULTS / f"{name}.json"
    if path.exists() and not overwrite:
        raise UserError(
            f"benchmarks/results/{path.name}: it is there already; choose another --name, or"
            " --overwrite"
        )


def run(main: Callable[[Sequence[str]], int]) -> int:
    """Calls `main` with the command line; returns the exit code, as README.md lists them."""
    try:
        return main(sys.argv[1:])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output left, such as `head`. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def leave(number: int, frame: object) -> NoReturn:
    """For signal.signal: ends this process in order, so that it ends those that it started."""
    sys.exit(128 + number)
