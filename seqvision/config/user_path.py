"""Paths as people write them: `~` is their home folder."""

from pathlib import Path

from seqvision.errors import UserError


def expanded(text: str, field: str) -> Path:
    """The path that a setting or flag names.

    Args:
      text: as it was written.
      field: the setting or flag, for the error.

    Raises:
      UserError: no path can be so, or it begins with `~` and that home folder is not known.
    """
    if "\0" in text:
        raise UserError(f"{field}: {text!r}: a path holds no NUL character; leave it out")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        home = Path(text).parts[0]
        raise UserError(
            f"{field}: '{text}': the home folder '{home}' is not known here; write the path in full"
        ) from None
