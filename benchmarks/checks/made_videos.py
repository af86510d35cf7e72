"""Class folders of made videos: moving digits, their direction the class, every frame different.

    python -m benchmarks.checks.made_videos --output=clips --clips=1600 --frames=20 --side=224

What `configs/series.py` reads, as large as wanted: `OUTPUT/CLASS/NUMBER.mp4`, H.264.
"""

import argparse
import dataclasses
from pathlib import Path

import av
import numpy as np

from configs import frame_lstm
from seqvision.config.validation import validate
from seqvision.data.from_config import load_dataset

_AT_ONCE = 50


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes class folders of made videos.")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--clips", type=int, default=1600)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--side", type=int, default=224)
    chosen = parser.parse_args()
    settings = validate(frame_lstm.get_config())
    clips = dataclasses.replace(
        settings.clips,
        num_frames=chosen.frames,
        height=chosen.side,
        width=chosen.side,
        digit_size=chosen.side // 2,
        noise=0.02,
        train_clips=chosen.clips,
    )
    dataset = load_dataset(dataclasses.replace(settings, clips=clips))
    for first in range(0, chosen.clips, _AT_ONCE):
        numbers = np.arange(first, min(first + _AT_ONCE, chosen.clips), dtype=np.int32)
        batch = dataset.splits["train"].read(numbers)
        for number, frames, label in zip(numbers, batch["inputs"], batch["labels"], strict=True):
            folder = chosen.output / dataset.class_names[label]
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / f"{number:05}.mp4", frames)


def _write(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in np.repeat(frames, 3, axis=-1):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
