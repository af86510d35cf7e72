"""The config fields of the examples: `data`, `clips`, `lines`, `reading`, `augment`."""

import dataclasses

from seqvision.config.bounds import (
    BELOW_ONE,
    COUNT,
    FRACTION,
    LARGEST_SIDE,
    NON_NEGATIVE,
    PIXELS,
    POSITIVE,
    SIZE,
    OneOf,
    Range,
    declare,
)

# Sources of lines of writing: their networks read text, others classify.
LINE_SOURCES = ("digit_lines", "lines")
# Sources whose examples are generated from digits and the seed.
MADE_SOURCES = ("moving_digits", "digit_lines")
SOURCES = ("tfds", "npz", "folders", "features", "idx", "moving_digits", *LINE_SOURCES)
# Sources that `config.data.path` names, and what it names.
PATHS = {
    "npz": "an .npz file",
    "folders": "a folder of class folders",
    "features": "a folder of class folders of .npy files, or an .npz file of features",
    "idx": "a folder of the four IDX files of the MNIST family",
    "lines": "a folder of images of lines and their texts",
}
# Sources whose examples `config.data.kind` can tell.
KIND_SOURCES = ("npz", "folders")
# What is to be predicted of each example, see `data.targets.Targets`, and which sources can tell.
TARGETS = {
    "npz": ("class", "steps", "labels", "number"),
    "folders": ("class", "steps"),
    "moving_digits": ("class", "steps"),
}
# Sources of values of more than 8 bits, which `config.data.value_range` scales.
RANGE_SOURCES = ("npz", "folders")
# Tasks of generated clips whose label may be of the whole clip or of every frame.
TRACKING_TASKS = ("shell", "parity")
CLIP_TASKS = ("motion", "digit", "directions", *TRACKING_TASKS)
LEVELS = ("clean", "natural", "hard")
MIXED_LEVELS = ("clean+natural", "clean+hard", "natural+hard")

# Generated clips count positions in 32-bit integers.
_CLIP_SIDE = 1024
_SWAPS = Range(1, 10_000)

INVERSIONS = ("auto", "always", "never")
PRIORS = ("bigram", "words")
DIRECTIONS = ("auto", "right_to_left", "left_to_right", "as_typed")
# Fields of `reading` that are no part of what was trained.
DECODING_FIELDS = ("beam_width", "prior", "prior_weight")


@dataclasses.dataclass(frozen=True)
class Data:
    """`config.data`: the examples.

    Attributes:
      source: tfds (a set by its TFDS name), npz (one file), folders (class folders of images or
        clips), features (features of each frame, from other programs or --mode=features), idx (the
        four IDX files of the MNIST family), moving_digits (clips generated from a
        TFDS set of digits; see config.clips), digit_lines (lines of writing generated from one; see
        config.lines) or lines (images of lines, and a table of their texts). Networks for
        digit_lines and lines read text; others classify.
      name: digit_lines: mnist, or another grey set whose classes are single symbols. tfds,
        moving_digits: mnist, fashion_mnist, kmnist, emnist/letters, cifar10, ...
      dir: tfds, moving_digits, digit_lines: where TFDS keeps prepared data ("" = TFDS's own:
        $TFDS_DATA_DIR or ~/tensorflow_datasets).
      cache_dir: Where files are kept for the next start ("" = the user's cache folder). tfds,
        moving_digits, digit_lines: the decoded arrays; npz, folders: the results of scanning a
        streamed set. Features of a frozen backbone.
      feature_cache_bytes: The most that the features of frozen backbones may take there; those
        unused for longest are deleted first.
      path: npz, folders, features, idx, lines: the .npz file, the folder that holds the class
        folders, the four IDX files (plain or gzipped), or lines: `images` and `labels.tsv`, or
        images and `.gt.txt`, PAGE or ALTO files.
      kind: npz: what its arrays hold: images, clips, or auto (by their shape). folders: what the
        folders inside a class folder are: groups of single images (images), clips, or auto (clips
        for model.sequence=frames, or where they hold numbered series of images of one size).
      target: What is to be predicted. npz: class (one for each example), steps (a class for every
        frame of a clip), labels (any of several at once) or number. folders: class or steps (a
        table of targets beside each clip). moving_digits: of the tasks shell and parity, class (at
        the end) or steps (at every frame). auto: what the data hold (shell, parity: class).
      balanced_draws: In training, draw examples of all classes equally often, however many there
        are of each.
      value_range: npz, folders: of values of more than 8 bits, those that are black and white, such
        as "0,4095" or "-1000,1000"; "auto" is 0 and the depth, or the extremes, of the whole
        training split, and "percentiles:1,99" two percentiles of its values (of 1000 files, and
        10,000 values of each). Windows of CT go by their names, "ct:brain", and three ranges make
        three channels, "ct:brain+subdural+bone"; see value_ranges.py in seqvision/config.
      group_pattern: folders, features: a regular expression that is searched for in each example's
        path below config.data.path; its first bracket (or all of it) is the example's group, such
        as "patient([0-9]+)" ("" = what groups.csv in that folder says, if it is there). A group
        never lies in two of the splits that fractions cut.
      paper: folders: what transparent pictures lie on: black, white, or auto (black where the
        training split's ink is light).
      broken_files: folders: a file that cannot be decoded ends the run (fail) or is left out and
        counted (skip).
      resident_bytes: tfds, npz, folders, features of a frozen backbone: sets whose images would
        take more bytes than this in memory are streamed: each example is read (and decoded) when it
        is needed. It changes speed, not results.
      height, width: Pixels that images and frames are scaled to, proportions kept (0 = as they
        are).
      channels: 1 (grey), 3 (RGB) or 0 (as they are).
      batch_size: Examples per optimizer step, over all devices together.
      eval_batch_size: Examples per evaluation step; it changes speed and memory, not results.
      validation_examples: tfds, moving_digits, digit_lines: the validation split is this many
        examples from the end of the train split (0 = none).
      validation_fraction, test_fraction: npz, folders, features, idx, lines: without splits of
        their own, these fractions of the examples become the validation and the test split, chosen
        by the SHA-256 of each example's content, or of its group (0 = none).
      window: Clips: frames that the network reads at once; longer clips are cut into windows (0 =
        whole clips). In training, each clip's window is drawn at random.
      window_stride: Clips: frames from the start of a window to that of the next, in evaluation and
        prediction (0 = as many as a window has; with more, the frames between are not read).
    """

    source: str = declare("tfds", OneOf(SOURCES))
    name: str = declare("mnist")
    dir: str = declare("")
    cache_dir: str = declare("")
    feature_cache_bytes: int = declare(20 * 2**30, Range(1, 2**50))
    path: str = declare("")
    kind: str = declare("auto", OneOf(("auto", "images", "clips")))
    target: str = declare("auto", OneOf(("auto", *TARGETS["npz"])))
    balanced_draws: bool = declare(False)
    value_range: str = declare("auto")
    group_pattern: str = declare("")
    paper: str = declare("auto", OneOf(("auto", "black", "white")))
    broken_files: str = declare("fail", OneOf(("fail", "skip")))
    resident_bytes: int = declare(2 * 2**30, Range(0, 2**50))
    height: int = declare(0, PIXELS)
    width: int = declare(0, PIXELS)
    channels: int = declare(0, OneOf((0, 1, 3)))
    batch_size: int = declare(128, SIZE)
    eval_batch_size: int = declare(1000, SIZE)
    validation_examples: int = declare(5000, COUNT)
    validation_fraction: float = declare(0.1, BELOW_ONE)
    test_fraction: float = declare(0.1, BELOW_ONE)
    window: int = declare(0, COUNT)
    window_stride: int = declare(0, COUNT)


@dataclasses.dataclass(frozen=True)
class Clips:
    """`config.clips`: generated clips of moving digits, or of moving cups.

    Attributes:
      task: moving_digits: motion (left, right, up or down, and with config.clips.turn also
        clockwise or counterclockwise: not to be seen in one frame), digit (which digit, through
        noise and occlusion), directions (it turns now and then: left, right, up or down, for every
        frame but the first), parity (has the digit blinked an even or an odd number of times?) or
        shell (no digits: the shell game; a ball is seen in the first frame only, under one of some
        cups, which are then swapped two at a time: which place is it at?).
      num_frames, min_frames: All tasks but shell: frames of the longest clips, and of the shortest
        (0 = all are of one length).
      cups: shell: how many.
      swaps: shell: swaps in each clip.
      train_swaps, train_min_swaps: shell: the most and the fewest in a training clip (0 = as many
        as in the others; 0 = all as many as the most).
      frames_per_swap: shell: frames that a swap takes.
      height, width, channels: Pixels of a frame, and its channels (1 or 3).
      digit_size: Pixels that the 28 pixels of an MNIST digit are scaled to.
      speed, turn: Pixels from frame to frame, and degrees of the clips that turn (0 = none does).
      noise: Standard deviation of the noise on each pixel of each frame; 1 is from black to white.
      occlusion: Fraction of each frame that is hidden.
      train_clips, validation_clips, test_clips: Number of clips in each split; their digits come
        from the same split of the digits.
    """

    task: str = declare("motion", OneOf(CLIP_TASKS))
    num_frames: int = declare(8, SIZE)
    min_frames: int = declare(0, COUNT)
    cups: int = declare(3, Range(2, 9))
    swaps: int = declare(6, _SWAPS)
    train_swaps: int = declare(0, Range(0, _SWAPS.high))
    train_min_swaps: int = declare(0, Range(0, _SWAPS.high))
    frames_per_swap: int = declare(4, Range(2, 100))
    height: int = declare(28, Range(1, _CLIP_SIDE))
    width: int = declare(28, Range(1, _CLIP_SIDE))
    channels: int = declare(1, OneOf((1, 3)))
    digit_size: int = declare(20, Range(1, _CLIP_SIDE))
    speed: float = declare(2.0, Range(0, _CLIP_SIDE))
    turn: float = declare(0.0, Range(0, 180))
    noise: float = declare(0.1, Range(0, 10))
    occlusion: float = declare(0.0, FRACTION)
    train_clips: int = declare(60000, SIZE)
    validation_clips: int = declare(2000, COUNT)
    test_clips: int = declare(10000, COUNT)

    @property
    def most_train_swaps(self) -> int:
        """Those of the longest training clip of the task shell."""
        return self.train_swaps or self.swaps

    @property
    def length_range(self) -> tuple[int, int]:
        """Frames of the shortest clip of any split, and of the longest."""
        if self.task != "shell":
            return self.min_frames or self.num_frames, self.num_frames
        swaps = (self.train_min_swaps or self.swaps, self.most_train_swaps, self.swaps)
        return 1 + min(swaps) * self.frames_per_swap, 1 + max(swaps) * self.frames_per_swap


@dataclasses.dataclass(frozen=True)
class Lines:
    """`config.lines`: lines of writing.

    Attributes:
      invert: lines: whether dark and light are swapped, since networks read light ink on dark: auto
        (where the ink of a line is dark), always or never.
      level: digit_lines: how lines look: clean, natural or hard (see line_recipe.py in
        seqvision/data/synthetic).
      train_level: digit_lines: the same for the training lines ("" = as the others), or two levels
        in turn: clean+natural, clean+hard, natural+hard. More variation teaches more.
      min_symbols, max_symbols: digit_lines: symbols of the shortest lines, and of the longest,
        spaces included.
      width: digit_lines: columns of a line's image (symbols that would not fit are left out).
        lines: the most columns that an image may have.
      train_min_symbols: digit_lines: symbols of the shortest training lines, at most max_symbols
        (0 = as the others). Columns behind the end of a line cost as much as others.
      train_width: digit_lines: columns of a training line's image (0 = as the others). Narrow
        lines are processed faster, and teach as much.
      train_lines, validation_lines, test_lines: digit_lines: number of lines in each split; their
        digits come from the same split of the digits.
    """

    invert: str = declare("auto", OneOf(INVERSIONS))
    level: str = declare("clean", OneOf(LEVELS))
    train_level: str = declare("", OneOf(("", *LEVELS, *MIXED_LEVELS)))
    min_symbols: int = declare(1, Range(1, 1000))
    max_symbols: int = declare(20, Range(1, 1000))
    width: int = declare(400, Range(1, LARGEST_SIDE))
    train_min_symbols: int = declare(0, Range(0, 1000))
    train_width: int = declare(0, PIXELS)
    train_lines: int = declare(1_000_000, SIZE)
    validation_lines: int = declare(2000, COUNT)
    test_lines: int = declare(10000, COUNT)


@dataclasses.dataclass(frozen=True)
class Reading:
    """`config.reading`: reading of lines.

    Attributes:
      alphabet: lines: the symbols, each one character ("" = those of the texts).
      direction: lines: in which direction a text runs as a whole, for texts with letters from right
        to left: right_to_left, left_to_right, or auto (that of its first letter). Texts are learnt
        in the order in which they stand, and read in that in which they are typed. as_typed: they
        are learnt as they are.
      delay: digit_lines: a symbol must be output at most this many columns after the last column of
        its ink. All lines: as many empty columns are appended to each.
      beam_width: evaluate, predict: texts kept by the beam search (0 = greedy, as in live reading).
      prior: beam search: what texts are likely. words:FILE allows the words of a file, with single
        spaces between them; bigram:FILE takes the frequency of symbol pairs from a file of texts,
        one a line ("" = any text).
      prior_weight: Weight of the prior's log probability beside that of the network.
    """

    alphabet: str = declare("")
    direction: str = declare("auto", OneOf(DIRECTIONS))
    # With 1, two equal letters that end side by side could not be told apart.
    delay: int = declare(7, Range(2, 1000))
    beam_width: int = declare(0, Range(0, 1000))
    prior: str = declare("")
    prior_weight: float = declare(1.0, POSITIVE)


@dataclasses.dataclass(frozen=True)
class Augment:
    """`config.augment`: random movements in training.

    Attributes:
      max_shift: Random shift of each training image, up to this many pixels each way (0 = none).
      max_rotation: Random rotation of each training image, up to this many degrees each way (0 =
        none).
    """

    max_shift: float = declare(0.0, NON_NEGATIVE)
    max_rotation: float = declare(0.0, Range(0, 180))
