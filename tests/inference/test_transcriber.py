"""Lines from Python: read as a whole, in batches, and column by column."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from seqvision.inference.stream_reader import StreamReader
from seqvision.inference.transcriber import Transcriber
from seqvision.runs.saved_run import load_run
from seqvision.tasks.from_config import create_task
from tests.inference.lines import HEIGHT, TEXTS, drawn


def test_whole_lines_and_live_reading_agree(line_run: object, transcriber: Transcriber) -> None:
    lines = [drawn(text) for text in TEXTS]
    whole = list(transcriber(lines))
    assert len({line["text"] for line in whole}) > 3
    reader = StreamReader.from_run(str(line_run))
    for line, expected in zip(lines, whole, strict=True):
        final = [event for event in reader.push(line) + reader.finish() if event.final]
        assert "".join(event.symbol for event in final) == expected["text"]
        assert [event.columns[1] for event in final] == expected["ends"].tolist()
        assert max(expected["ends"]) < line.shape[1]
        np.testing.assert_allclose(
            [event.confidence for event in final], expected["confidences"], atol=1e-4
        )


def test_lines_from_right_to_left(line_run: Path, transcriber: Transcriber) -> None:
    """The same network, had it learnt the letters of another alphabet: its texts are reversed."""
    run = load_run(line_run)
    reading = dataclasses.replace(run.settings.reading, direction="auto")
    settings = dataclasses.replace(run.settings, reading=reading)
    assert run.data.class_names == (" ", "a", "b")
    data = dataclasses.replace(run.data, class_names=(" ", "א", "ב"))
    hebrew = dataclasses.replace(
        run, settings=settings, data=data, task=create_task(settings, data.class_names)
    )
    line = drawn("ab ba b")
    [latin], [found] = transcriber([line]), Transcriber(hebrew)([line])
    assert found["text"] == latin["text"][::-1].translate({97: "א", 98: "ב"})
    assert found["ends"].tolist() == latin["ends"].tolist()[::-1]
    np.testing.assert_array_equal(found["confidences"], latin["confidences"][::-1])
    reader = StreamReader(hebrew)
    assert reader.text(reader.push(line) + reader.finish()) == found["text"]


def test_a_long_line_beside_short_ones(transcriber: Transcriber) -> None:
    lines = [drawn("a"), drawn("ab ba" * 40), drawn("bb")]
    alone = [found["text"] for line in lines for found in transcriber([line])]
    assert [found["text"] for found in transcriber(lines)] == alone
    assert len(alone[1]) > max(len(alone[0]), len(alone[2]))


def test_lines_with_a_channel_axis_and_wrong_ones(transcriber: Transcriber) -> None:
    line = drawn("ab")
    [plain], [with_channel] = transcriber([line]), transcriber([line[..., None]])
    assert plain["text"] == with_channel["text"]
    assert list(transcriber([])) == []
    for wrong in (line[:, :0], line[1:], line.astype(np.float32), np.stack([line] * 3, axis=-1)):
        with pytest.raises(ValueError, match=rf"uint8 \({HEIGHT}, any number of columns\)"):
            next(transcriber([wrong]))
