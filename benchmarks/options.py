"""Command lines whose mistakes are one line, and results that are not overwritten by chance."""

import argparse
import re
from pathlib import Path
from typing import NoReturn

from seqvision.errors import UserError, did_you_mean

RESULTS = Path(__file__).parent / "results"


class Parser(argparse.ArgumentParser):
    """`--name=value` options, with their defaults in the help.

    Args:
      description: what the command does.
    """

    def __init__(self, description: str) -> None:
        super().__init__(
            description=description,
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (--help lists the options)")


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
