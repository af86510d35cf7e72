"""Refusals: what a file of weights is found to be, in one line, and the way out."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from seqvision.errors import UserError

SHOWN = 200
"""Letters of a text out of a file that a message quotes at most."""
EXTRA = "pip install 'seqvision[import]' (in a clone: pip install -e '.[import]'), then run again"


def shown(text: object) -> str:
    """A path or a text out of a file in one line that no terminal acts on."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def refused(path: Path, found: object, way_out: str) -> UserError:
    """`PATH: FOUND; WAY OUT`."""
    return UserError(f"{str(path) if str(path).isprintable() else shown(path)}: {found}; {way_out}")


def damaged(path: Path, found: object) -> UserError:
    """A file that does not hold what it announces."""
    return refused(path, shown(found), "it is damaged or incomplete: copy or save it again")


@contextlib.contextmanager
def reading(path: Path, *kinds: type[Exception]) -> Iterator[None]:
    """Turns the errors of a reader into one line about its file.

    Args:
      path: the file that is read.
      kinds: of errors, besides ValueError, that say that the file is damaged. UserErrors pass.

    Raises:
      UserError: the file is damaged, or the operating system does not give it.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # A library's, about what is in the file.
            raise damaged(path, error) from None
        raise refused(path, error.strerror, "check the name and your rights to read it") from error
    except UnicodeDecodeError:
        raise damaged(path, "text that is not UTF-8") from None
    except MemoryError as error:
        way_out = "use a machine with more memory"
        raise refused(path, shown(error) or "too large", way_out) from None
    except (ValueError, *kinds) as error:  # type: ignore[misc]
        raise damaged(path, str(error) or type(error).__name__) from None
