"""Recipes of clips: moving digits, and the shell game."""

import dataclasses

MOTIONS = ("left", "right", "up", "down", "clockwise", "counterclockwise")
PARITIES = ("even", "odd")
_NUM_DIRECTIONS = 4


@dataclasses.dataclass(frozen=True)
class MovingDigits:
    """The look of clips; the schema of `config.clips` and its rules bound each field.

    Attributes:
      task: what the label is: `motion`, one of MOTIONS (only the first four where `turn` is 0),
        `digit`; `directions`: of every frame but the first, which of the first four MOTIONS led to
        it; they change now and then; or `parity`: whether the digit blinked an even or an odd
        number of times.
      num_frames: T, the frames of the longest clips.
      min_frames: those of the shortest; lengths are uniform between them.
      height, width: pixels of the picture, whose opposite edges are one and the same.
      channels: 1, grey; or 3, every digit in a colour of its own.
      digit_size: pixels that the height and width of a digit's image are scaled to.
      speed: pixels per frame.
      turn: degrees per frame.
      noise: standard deviation of each pixel's noise in each frame, as a fraction of 255.
      occlusion: fraction of the picture that is hidden, anew in each frame.
      per_frame: of `parity`: a label for every frame, of the blinks up to it.
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
    per_frame: bool = False

    @property
    def motions(self) -> tuple[str, ...]:
        """Those that the clips show: MOTIONS, or only the straight ones where `turn` is 0."""
        return MOTIONS if self.turn else MOTIONS[:_NUM_DIRECTIONS]


@dataclasses.dataclass(frozen=True)
class ShellGame:
    """The look of shell games: one ball under one of some cups, which are swapped two at a time.

    The first frame shows the ball under its cup, which is lifted; no other frame shows it. Each
    swap takes some frames, in the last of which both cups have arrived. All cups look alike.

    Attributes:
      cups: in a row.
      min_swaps, swaps: of the shortest and the longest games; their numbers are uniform between.
      frames_per_swap: how long a swap takes.
      height, width: pixels of the picture.
      channels: 1, grey; or 3, the cups of every game in a colour of their own.
      noise: standard deviation of each pixel's noise in each frame, as a fraction of 255.
      occlusion: fraction of the picture that is hidden, anew in each frame but the first.
      per_frame: whether the label is the place of the ball in every frame (during a swap, that
        before it) rather than only at the end.
    """

    cups: int
    min_swaps: int
    swaps: int
    frames_per_swap: int
    height: int
    width: int
    channels: int
    noise: float
    occlusion: float
    per_frame: bool = False

    @property
    def num_frames(self) -> int:
        """T, the frames of the longest games."""
        return 1 + self.swaps * self.frames_per_swap
