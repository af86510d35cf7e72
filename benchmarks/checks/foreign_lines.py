"""Character error rates on lines of digits unlike the training lines, as scans.

    python -m benchmarks.checks.foreign_lines --workdir=runs/column_reader --digits=mnist,uci

Each line is read twice, as `--mode=predict` reads an image of it: with `--to_scale=false`, and
brought to the scale of the training lines. A run without their looks (one of before) is given
those that its config makes. Test lines of each level are read in the same two ways; those of a
level that the run was not trained on also with the looks of that level, as its own run has them.
"""

import dataclasses
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks import options, report
from benchmarks.checks.foreign_digits import CONDITIONS, DIGITS, Condition, draw_line
from benchmarks.machine import describe_devices
from seqvision import prepare_host

if TYPE_CHECKING:
    from seqvision import Transcriber
    from seqvision.data.files.line_look import Looks

Lines = Sequence[np.ndarray]

# As many training lines as a run looks at.
_LOOKS = 200


def digit_sets(text: str) -> list[str]:
    """For argparse: names of DIGITS, separated by commas."""
    names = text.split(",")
    if unknown := [name for name in names if name not in DIGITS]:
        raise ArgumentTypeError(f"'{unknown[0]}' is not known; it takes {', '.join(DIGITS)}")
    return names


def error_rate(reader: "Transcriber", lines: Lines, texts: Sequence[str]) -> float:
    """Edits to get from what is read to what is written, in % of its symbols."""
    from rapidfuzz.distance import Levenshtein

    found = [line["text"] for line in reader(lines)]
    edits = sum(map(Levenshtein.distance, found, texts))
    return 100 * edits / sum(map(len, texts))


def scanned_lines(
    digits: str, condition: Condition, count: int, seed: int
) -> tuple[list[np.ndarray], list[str]]:
    """Lines with light ink on dark, as files of their scans are read, and their texts."""
    from seqvision.data.files.line_ink import inked_line

    rng = np.random.default_rng(seed)
    images, labels = DIGITS[digits]()
    drawn = [draw_line(images, labels, condition, rng) for _ in range(count)]
    lines = [inked_line(Image.fromarray(line)).pixels[..., 0] for line, _ in drawn]
    return lines, [text for _, text in drawn]


def compare(
    reader: "Transcriber", looks: "Looks", lines: Lines, texts: Sequence[str]
) -> dict[str, Any]:
    """Both error rates on lines of any height, and how many lines come out the same."""
    from seqvision.data.files.line_scale import resized, to_scale

    plain = [resized(line, looks.height) for line in lines]
    scaled = [to_scale(line, looks) for line in lines]
    return {
        "lines": len(lines),
        "before": error_rate(reader, plain, texts),
        "after": error_rate(reader, scaled, texts),
        "same": sum(map(np.array_equal, plain, scaled)),
    }


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.foreign_lines", __doc__)
    add = parser.add_argument
    add("--workdir", type=Path, required=True, help="a trained run that reads digits")
    add("--digits", type=digit_sets, default=["mnist"], help=f"some of {', '.join(DIGITS)}")
    add("--lines", type=options.count, default=500, help="for each condition; by default 500")
    add("--test_lines", type=options.count, default=2000, help="of each level; by default 2000")
    add("--seed", type=int, default=0, help="of the lines; by default 0")
    chosen = parser.parse(arguments)
    prepare_host()
    from benchmarks.lines import load_labelled_lines, read_text_settings
    from seqvision import Transcriber
    from seqvision.data.files.line_look import Looks
    from seqvision.runs.saved_run import load_run

    settings, run = read_text_settings(chosen.workdir), load_run(chosen.workdir)
    facts = report.begin(chosen, "foreign_lines", describe_devices())
    looks = run.data.looks or Looks.of_lines(load_labelled_lines(settings, "train", _LOOKS)[0])
    assert looks is not None  # Lines have ink.
    reader = Transcriber(run)
    rows: dict[str, dict[str, Any]] = {}
    for digits in chosen.digits:
        for name, condition in CONDITIONS.items():
            drawn = scanned_lines(digits, condition, chosen.lines, chosen.seed)
            rows[f"{digits}, {name}"] = compare(reader, looks, *drawn)
    for level in ("clean", "natural", "hard"):
        lines = dataclasses.replace(settings.lines, level=level, train_level=level)
        own = dataclasses.replace(settings, lines=lines)
        made = load_labelled_lines(own, "test", chosen.test_lines)
        rows[f"test lines, {level}"] = compare(reader, looks, *made)
        if level not in settings.lines.train_level:
            others = Looks.of_lines(load_labelled_lines(own, "train", _LOOKS)[0])
            assert others is not None
            rows[f"the same, by looks of {level} lines"] = compare(reader, others, *made)
    facts |= {"looks": dataclasses.asdict(looks), "rows": rows}
    cells = [
        [
            name,
            str(row["lines"]),
            f"{row['before']:.2f} %",
            f"{row['after']:.2f} %",
            str(row["same"]),
        ]
        for name, row in rows.items()
    ]
    header = ["lines", "count", "CER as they are", "CER to scale", "unchanged"]
    print(report.write(facts, report.table(header, cells)))
    return 0


if __name__ == "__main__":
    sys.exit(options.run(main))
