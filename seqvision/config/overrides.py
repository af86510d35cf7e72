"""Overrides on the command line that the rest of the config leaves without effect."""

from collections.abc import Callable, Iterable

from seqvision.config.data_schema import LINE_SOURCES
from seqvision.config.schema import Settings
from seqvision.errors import UserError

_CNN_SEQUENCES = ("cnn", "cnn_rows", "cnn_columns", "frames")

_LINES = f"config.data.source of {' or '.join(LINE_SOURCES)}"

# Field or section, whether it has an effect, and what gives it one. The first row that fits counts.
# A config file may well hold such fields: they are there for its other variants.
_READ: list[tuple[str, Callable[[Settings], bool], str]] = [
    ("clips", lambda s: s.data.source == "moving_digits", "config.data.source=moving_digits"),
    ("lines.width", lambda s: s.data.source in LINE_SOURCES, _LINES),
    ("lines.invert", lambda s: s.data.source == "lines", "config.data.source=lines"),
    ("lines", lambda s: s.data.source == "digit_lines", "config.data.source=digit_lines"),
    ("model.patch_size", lambda s: s.model.sequence == "patches", "config.model.sequence=patches"),
    (
        "model.cnn_channels",
        lambda s: s.model.sequence in _CNN_SEQUENCES,
        f"config.model.sequence of {', '.join(_CNN_SEQUENCES)}",
    ),
    ("schedule.start_fraction", lambda s: s.schedule.warmup.amount > 0, "config.schedule.warmup"),
    (
        "schedule.final_fraction",
        lambda s: s.schedule.name != "constant",
        "config.schedule.name=cosine or one_cycle",
    ),
]


def check_overrides(settings: Settings, names: Iterable[str]) -> None:
    """Checks that what the command line sets is read.

    Args:
      settings: the config with its overrides.
      names: the overridden fields, dotted.

    Raises:
      UserError: one of them has no effect.
    """
    for name in names:
        for prefix, is_read, needed in _READ:
            if name == prefix or name.startswith(f"{prefix}."):
                if not is_read(settings):
                    raise UserError(
                        f"--config.{name}: it has no effect without {needed}; leave it out, or set"
                        " that as well"
                    )
                break
