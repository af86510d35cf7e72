"""Pictures of docs/gallery.md: a part of a page, a line that is read live, clips, corruptions.

    python -m benchmarks.gallery --page=runs/NAME/report.html --select='#examples figure' \\
        --schemes=light,dark --output=page.webp
    python -m benchmarks.gallery --live=runs/column_reader --output=live.webp
    python -m benchmarks.gallery --frames=configs/frame_lstm.py --output=clips.webp
    python -m benchmarks.gallery --corrupt=configs/row_lstm.py --output=corruptions.webp

The first needs the package playwright and a Chromium. All write WebP.
"""

import io
import runpy
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks import options
from seqvision.config.schema import Settings
from seqvision.config.validation import validate
from seqvision.data.dataset import Split
from seqvision.errors import UserError

_SCALE = 3
"""Pixels of a picture for one of an example."""
_COLUMNS_A_FRAME = 4


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.gallery", __doc__, results=False)
    add = parser.add_argument
    add("--output", type=Path, required=True, help="a .webp file")
    add("--page", type=Path, help="an HTML file, of which a part is drawn")
    add("--select", default="body", help="--page: a selector of Playwright; by default all")
    words = "--page: in which colours; both beside each other"
    add("--schemes", default="light", choices=("light", "dark", "light,dark"), help=words)
    add("--pixels", type=options.count, default=900, help="--page: width; by default 900")
    add("--live", type=Path, help="a trained run that reads generated lines")
    add("--number", type=int, default=0, help="of the test example; by default 0")
    add("--frames", help="a config of clips, of which some are drawn")
    add("--corrupt", help="a config of images, of which one is corrupted in every way")
    chosen = parser.parse_args(arguments)
    if chosen.output.suffix != ".webp":
        raise UserError(f"--output: '{chosen.output}' is no .webp file; name one")
    if chosen.page and not chosen.page.is_file():
        raise UserError(f"--page: there is no file '{chosen.page}'; --mode=report writes one")
    asked = [name for name in ("page", "live", "frames", "corrupt") if getattr(chosen, name)]
    if len(asked) != 1:
        raise UserError("choose one of --page, --live, --frames, --corrupt")
    if asked == ["page"]:
        shots = [
            screenshot(chosen.page, chosen.select, one, chosen.pixels)
            for one in ("light", "dark")
            if one in chosen.schemes
        ]
        save([beside(shots)], chosen.output)
        return 0
    if asked == ["live"]:
        save(list(live_frames(chosen.live, chosen.number)), chosen.output)
    elif asked == ["frames"]:
        save([clips(chosen.frames)], chosen.output)
    else:
        save([corruptions(chosen.corrupt, chosen.number)], chosen.output)
    return 0


def save(frames: list[Image.Image], output: Path) -> None:
    """A picture, or several as a film whose last one stays for a while."""
    durations = [60] * (len(frames) - 1) + [2500]
    more = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
    lossy = {"quality": 80, "method": 6}
    frames[0].save(output, **(lossy | more if len(frames) > 1 else lossy))
    print(f"{output}: {frames[0].width} x {frames[0].height}, {output.stat().st_size:,} bytes")


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Pictures beside each other."""
    whole = Image.new("RGB", (sum(i.width for i in images), max(i.height for i in images)), "white")
    left = 0
    for image in images:
        whole.paste(image, (left, 0))
        left += image.width
    return whole


def screenshot(
    page: Path, select: str, scheme: Literal["light", "dark"], pixels: int
) -> Image.Image:
    """A part of a page in a Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise UserError("--page: there is no Chromium; apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        view = browser.new_page(
            color_scheme=scheme, viewport={"width": pixels, "height": 800}, device_scale_factor=1.5
        )
        view.goto(page.absolute().as_uri())
        content = view.locator(select).first.screenshot()
        browser.close()
    return Image.open(io.BytesIO(content)).convert("RGB")


def live_frames(workdir: Path, number: int) -> Iterator[Image.Image]:
    """A line that is uncovered from left to right, and below each column what was read by then."""
    from seqvision import StreamReader
    from seqvision.runs.saved_run import load_run
    from seqvision.runs.trained_data import load_trained_on

    run = load_run(workdir)
    batch = load_trained_on(run, run.settings).split("test").read(np.array([number], np.int32))
    line = np.asarray(batch["inputs"])[0, :, : int(batch["lengths"][0]), 0]
    height, width = line.shape
    size = (2 * width + 12, 2 * height + 40)
    ink = Image.fromarray(line).resize((2 * width, 2 * height), Image.Resampling.BICUBIC)
    reader, font = StreamReader(run), ImageFont.load_default(26)
    read: list[tuple[int, str]] = []
    for start in range(0, width, _COLUMNS_A_FRAME):
        stop = min(width, start + _COLUMNS_A_FRAME)
        events = reader.push(line[:, start:stop])
        if stop == width:
            events = [*events, *reader.finish()]
        read += [(min(event.column, width), event.symbol) for event in events if not event.final]
        frame = Image.new("RGB", size, "#12151a")
        frame.paste(ink.crop((0, 0, 2 * stop, 2 * height)), (0, 0))
        draw = ImageDraw.Draw(frame)
        draw.line([(2 * stop, 0), (2 * stop, size[1])], fill="#f5934d", width=2)
        for column, symbol in read:
            place = (2 * column + 6, 2 * height + 20)
            draw.text(place, symbol, fill="#5fd08f", font=font, anchor="rm")
        yield frame


def clips(config_path: str) -> Image.Image:
    """The frames of four test clips, a row for each."""
    _, split = _loaded(config_path)
    batch = split.read(np.arange(4, dtype=np.int32))
    rows = []
    for clip, length in zip(batch["inputs"], batch["lengths"], strict=True):
        frames = np.asarray(clip).copy()
        frames[length:] = 0
        framed = np.pad(frames, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=70)
        rows.append(np.concatenate(list(framed), axis=1))
    return _enlarged(np.concatenate(rows, axis=0))


def corruptions(config_path: str, number: int) -> Image.Image:
    """An image as it is, and a column for each corruption, weak to strong downwards."""
    from seqvision.data.corrupted_split import CorruptedSplit, Corruptions
    from seqvision.data.corruptions import STRENGTHS
    from seqvision.data.step_layout import StepLayout
    from seqvision.runtime.mesh import create_mesh

    settings, split = _loaded(config_path)
    layout = StepLayout(settings.model.sequence, settings.model.patch_size)
    made = CorruptedSplit(split, Corruptions(layout, tuple(STRENGTHS)), create_mesh())
    numbers = np.array([number], np.int32)
    clean = np.asarray(split.read(numbers)["inputs"])[0]
    columns = [[clean] * 3] + [
        [np.asarray(made.at(name, one).read(numbers)["inputs"])[0] for one in strengths]
        for name, strengths in STRENGTHS.items()
    ]
    padding = ((1, 1), (2, 2), (0, 0))
    padded = [[np.pad(one, padding, constant_values=70) for one in column] for column in columns]
    picture = _enlarged(np.concatenate([np.concatenate(c, axis=0) for c in padded], axis=1))
    whole = Image.new("RGB", (picture.width, picture.height + 24), "#12151a")
    whole.paste(picture, (0, 24))
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for place, name in enumerate(("as it is", *STRENGTHS)):
        left = (place + 0.5) * picture.width / len(columns)
        draw.text((left, 12), name, fill="#e6e9ed", font=font, anchor="mm")
    return whole


def _loaded(config_path: str) -> tuple[Settings, Split]:
    """The settings of `NAME.py[:VARIANT]`, and its test examples."""
    from seqvision.data.from_config import load_dataset

    file, _, variant = config_path.partition(":")
    if not Path(file).is_file():
        raise UserError(f"--frames, --corrupt: there is no file '{file}'; name one of configs/")
    settings = validate(runpy.run_path(file)["get_config"](*filter(None, [variant])))
    return settings, load_dataset(settings, print).split("test")


def _enlarged(array: np.ndarray) -> Image.Image:
    """(height, width, channels) uint8 as a picture."""
    colours = np.broadcast_to(array, (*array.shape[:2], 3))
    size = (_SCALE * array.shape[1], _SCALE * array.shape[0])
    return Image.fromarray(np.ascontiguousarray(colours)).resize(size, Image.Resampling.NEAREST)


if __name__ == "__main__":
    sys.exit(options.run(main))
