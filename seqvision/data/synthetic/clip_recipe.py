"""Recipe of clips of moving digits."""

import dataclasses

MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise")
_NUM_DIRECTIONS = 4


@dataclasses.dataclass(frozen=True)
class MovingDigits:
    """The look of clips; the schema of `config.clips` and its rules bound each field.

    Attributes:
      task: what the label is: `motion`, one of MOTIONS (only the first four where `turn` is 0),
        `digit`, or `directions`: of every frame but the first, which of the first four MOTIONS led
        to it; they change now and then.
      num_frames: T, the frames of the longest clips.
      min_frames: those of the shortest; lengths are uniform between them.
      height, width: pixels of the picture, whose opposite edges are one and the same.
      channels: 1, grey; or 3, every digit in a colour of its own.
      digit_size: pixels that the height and width of a digit's image are scaled to.
      speed: pixels per frame.
      turn: degrees per frame.
      noise: standard deviation of each pixel's noise in each frame, as a fraction of 255.
      occlusion: fraction of the picture that is hidden, anew in each frame.
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

    @property
    def motions(self) -> tuple[str, ...]:
        """Those that the clips show: MOTIONS, or only the straight ones where `turn` is 0."""
        return MOTIONS if self.turn else MOTIONS[:_NUM_DIRECTIONS]
