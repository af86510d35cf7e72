"""Lines from Python: read as a whole, in batches, and column by column."""

import numpy as np
import pytest

from seqvision.inference.stream_reader import StreamReader
from seqvision.inference.transcriber import Transcriber
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
