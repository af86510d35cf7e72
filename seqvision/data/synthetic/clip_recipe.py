"""Recipe of clips of moving digits."""

import dataclasses

from seqvision.errors import UserError, did_you_mean

TASKS = ("motion", "digit")
MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise")
_NUM_DIRECTIONS = 4


@dataclasses.dataclass(frozen=True)
class MovingDigits:
    """The look of clips.

    Attributes:
      task: what the label is: `motion`, one of MOTIONS (only the first four where `turn` is 0), or
        `digit`.
      num_frames: T, the frames of the longest clips.
      min_frames: those of the shortest; lengths are uniform between them.
      height, width: pixels of the picture, whose opposite edges are one and the same.
      channels: 1, grey; or 3, every digit in a colour of its own.
      digit_size: pixels that the height and width of a digit's image are scaled to.
      speed: pixels per frame.
      turn: degrees per frame.
      noise: standard deviation of each pixel's noise in each frame, as a fraction of 255.
      occlusion: fraction of the picture that is hidden, anew in each frame.

    Raises:
      UserError: fields that make no clips.
    """

    task: str
    num_frames: int
    min_frames: int
    height: int
    width: int
    channels: int
    digit_size: int
    speed: float
    turn: float
    noise: float
    occlusion: float

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise UserError(
                f"config.clips.task: '{self.task}' is none of {', '.join(TASKS)}; choose one of"
                f" these{did_you_mean(self.task, TASKS)}"
            )
        if self.min_frames > self.num_frames:
            raise UserError(
                f"config.clips.min_frames: {self.min_frames} is more than config.clips.num_frames"
                f" ({self.num_frames}); lower it to at most {self.num_frames}, or raise num_frames"
            )
        if self.channels not in (1, 3):
            raise UserError(
                f"config.clips.channels: {self.channels} is neither 1 (grey) nor 3 (colour); choose"
                " one of these"
            )
        side = min(self.height, self.width)
        if self.digit_size > side:
            raise UserError(
                f"config.clips.digit_size: {self.digit_size} is larger than the picture"
                f" ({self.height}x{self.width}); lower it to at most {side}, or raise"
                " config.clips.height and config.clips.width"
            )

    @property
    def motions(self) -> tuple[str, ...]:
        """Those that the clips show: MOTIONS, or only the straight ones where `turn` is 0."""
        return MOTIONS if self.turn else MOTIONS[:_NUM_DIRECTIONS]
