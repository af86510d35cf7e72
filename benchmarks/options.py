"""Command lines of benchmarks: a mistake is one line, and no result is overwritten by chance."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from seqvision.errors import UserError, did_you_mean

RESULTS = Path(__file__).parent / "results"


class Parser(argparse.ArgumentParser):
    """Options written `--name=value`.

    Args:
      module: whose command line it is; also among the options, as `module`.
      description: what the command does, shown unchanged.
      results: whether it writes results, whose `--name` and `--overwrite` are added here.
    """

    def __init__(self, module: str, description: str | None, *, results: bool = True) -> None:
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.set_defaults(module=module)
        if results:
            words = "of the results; by default what was measured and the versions"
            self.add_argument("--name", default="", help=words)
            words = "replace results of that name"
            self.add_argument("--overwrite", action="store_true", help=words)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options, checked.

        Raises:
          UserError: one of them is wrong, or names existing results.
        """
        chosen = self.parse_args(arguments)
        if chosen.name:
            check_free(chosen.name, chosen.overwrite)
        return chosen

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists the options)")


def check_free(name: str, overwrite: bool) -> None:
    """Raises UserError where results of that name exist, or the name is a path."""
    if Path(name).name != name:
        raise UserError(f"--name: '{name}' is a path; it is a name in {RESULTS.name}/")
    path = RESULTS / f"{name}.json"
    if path.exists() and not overwrite:
        raise UserError(
            f"benchmarks/results/{path.name}: it is there already; choose another --name, or"
            " --overwrite"
        )


def add_contenders(parser: Parser, allowed: tuple[str, ...], default: str) -> None:
    """Options for a choice of contenders and for their interpreters."""

    def names(text: str) -> list[str]:
        for name in text.split(","):
            if name not in allowed:
                hint = did_you_mean(name, allowed)
                raise argparse.ArgumentTypeError(
                    f"'{name}' is not known; it takes {', '.join(allowed)}{hint}"
                )
        return list(dict.fromkeys(text.split(",")))

    parser.add_argument(
        "--contenders",
        type=names,
        default=[],
        metavar="A,B",
        help=f"some of {', '.join(allowed)}; by default {default}",
    )
    for library in ("torch", "keras"):
        parser.add_argument(
            f"--{library}_python",
            default=sys.executable,
            metavar="PYTHON",
            help=f"the interpreter that has {library}; by default this one",
        )


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


def counts(text: str) -> list[int]:
    """For argparse: whole numbers above 0, separated by commas."""
    return [count(part) for part in text.split(",")]


def seeds(text: str) -> list[int]:
    """For argparse: whole numbers, separated by commas."""
    return [int(part) for part in text.split(",")]


def run(main: Callable[[Sequence[str]], int]) -> int:
    """Calls `main` with the command line; returns the exit code, as README.md lists them.

    SIGTERM ends this process in order, so that it ends those that it started.
    """
    signal.signal(signal.SIGTERM, _exit_in_order)
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


def _exit_in_order(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)
