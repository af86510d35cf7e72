"""Calibration, confusions, beliefs, occlusion and films, by hand and beside plain loops."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from configs import default
from seqvision.config.validation import validate
from seqvision.data.corruptions import STRENGTHS
from seqvision.metrics.confusion import confusion_matrix
from seqvision.reports.beliefs import SURE, sureness_words
from seqvision.reports.calibration import calibration_words, reliability
from seqvision.reports.charts import line_chart, svg
from seqvision.reports.classifier_sections import shades
from seqvision.reports.confusion import Confusion, commonest
from seqvision.reports.corruptions import WORDS
from seqvision.reports.curves import curve_figure, curve_names, curve_words
from seqvision.reports.examples import class_kinds
from seqvision.reports.film import draw_film
from seqvision.reports.number_sections import number_figure, number_words
from seqvision.reports.occlusion import Bands, bands_of, occlusion, occlusion_words
from seqvision.reports.pictures import columns, strip


def test_bins_by_hand() -> None:
    found = reliability(np.array([0.5, 0.55, 1.0, 0.96]), np.array([1, 0, 1, 1]))
    assert found.counts.tolist() == [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 2]
    np.testing.assert_allclose(found.accuracy[[7, 8, 14]], [1, 0, 1])
    np.testing.assert_allclose(found.confidence[[7, 8, 14]], [0.5, 0.55, 0.98])
    np.testing.assert_allclose(found.ece, (0.5 + 0.55 + 2 * 0.02) / 4)
    assert "75.25% sure and 75.00% right: about as sure as it is right." in calibration_words(found)


def test_confusions_in_order() -> None:
    labels, predicted = np.array([0, 0, 1, 1, 1, 2, 2]), np.array([0, 1, 2, 2, 1, 0, 2])
    matrix = confusion_matrix(labels, predicted, 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 2], [1, 0, 1]]
    assert commonest(matrix, 2) == [Confusion(1, 2, 2, 3), Confusion(0, 1, 1, 2)]
    assert commonest(np.diag([3, 4])) == []


@pytest.mark.parametrize(
    ("of_cat", "words"),
    [
        (
            [0.95, 0.99],
            "It said cat from the first row on. It was sure (at least 90%) all the time.",
        ),
        (
            [0.6, 0.95],
            "It said cat from the first row on. It was sure (at least 90%) from row 2 on.",
        ),
        (
            [0.95, 0.2, 0.7, 0.95, 0.8, 0.92],
            "It last changed its mind in row 3 of 6, from dog to cat. It was sure (at least 90%)"
            " from row 6 on.",
        ),
        (
            [0.7, 0.4, 0.3],
            "It last changed its mind in row 2 of 3, from cat to dog. It was not sure (at least"
            " 90%) in the end.",
        ),
    ],
)
def test_where_it_became_sure(of_cat: list[float], words: str) -> None:
    probabilities = np.stack([np.array(of_cat), 1 - np.array(of_cat)], axis=1)
    assert SURE == 0.9
    assert sureness_words(probabilities, ("cat", "dog"), "rows") == words


def brightness(arrays: Iterable[np.ndarray]) -> Iterator[Any]:
    """A network for which the brightness of the third row alone is the first class."""
    for array in arrays:
        bright = float(array[2].mean()) / 255
        yield {"probabilities": np.array([bright, 1 - bright])}


def test_blanking_the_row_that_matters() -> None:
    image = np.zeros((5, 4, 1), np.uint8)
    image[2] = 204
    bands = Bands(0, "row", 1)
    [of_first, of_second] = occlusion(brightness, [image, image], [0, 1], bands)
    np.testing.assert_allclose(of_first, [0, 0, -0.8, 0, 0], atol=1e-12)
    np.testing.assert_allclose(of_second, -of_first, atol=1e-12)
    words = occlusion_words(of_first, "cat", bands, 5)
    assert words == "Blanking row 3 lowers cat most, by 80.00 points."
    [pairs] = occlusion(brightness, [image], [0], Bands(0, "row", 2))
    np.testing.assert_allclose(pairs, [0, -0.8, 0], atol=1e-12)
    words = occlusion_words(pairs, "cat", Bands(0, "row", 2), 5)
    assert words == "Blanking rows 3 to 4 lowers cat most, by 80.00 points."
    assert occlusion_words(np.zeros(5), "cat", bands, 5).startswith("No single row matters")


@pytest.mark.parametrize(
    ("sequence", "bands"),
    [
        ("rows", Bands(0, "row", 3)),
        ("columns", Bands(1, "column", 1)),
        ("patches", Bands(0, "row", 4)),
        ("frames", Bands(0, "frame", 3)),
        ("cnn", None),
    ],
)
def test_bands_are_steps_and_not_too_many(sequence: str, bands: Bands | None) -> None:
    config = default.get_config()
    config.model.sequence = sequence
    if sequence == "frames":
        config.data.source = "moving_digits"
    settings = validate(config)
    assert bands_of(settings, lambda axis: (168, 40)[axis]) == bands


def test_a_picture_of_features() -> None:
    """Two frames of 130 features: the first of them 0, half of them 1 in the second frame."""
    clip = np.zeros((2, 1, 1, 130), np.float32)
    clip[1, 0, 0, 65:] = 1.0
    picture = columns(clip)
    assert picture.shape == (64, 160, 1) and picture.dtype == np.uint8
    assert not picture[:, :80].any() and not picture[:32, 80:].any()
    assert (picture[32:, 80:] == 255).all()
    assert columns(clip[:, ..., :1]).shape == (64, 160, 1)


def test_a_film_by_hand() -> None:
    beliefs = np.array([[0.25, 0.75], [1.0, 0.0]])
    film = draw_film((10, 20), True, beliefs, [(0, "k0")], np.array([-0.5, 0.25]), most=0.8)
    # 168 units high and 320 at most wide: here 160 by 320; two steps of 80 from y 16.
    assert film.picture == (0.0, 16.0, 320.0, 160.0)
    rest, first, _, falls, rises = film.shapes
    assert [shape.kind for shape in film.shapes] == ["rest", "k0", "ground", "falls", "rises"]
    assert first.path == "M361.0 16.0L361.0 96.0L454.0 96.0L454.0 176.0L330.0 176.0L330.0 16.0Z"
    assert rest.path == "M454.0 16.0L454.0 176.0L330.0 176.0L330.0 16.0Z"
    # Of 64 units that stand for a change of 0.8.
    assert falls.path.startswith("M504.0 16.0L504.0 96.0")
    assert rises.path.startswith("M484.0 96.0L484.0 176.0")
    assert (film.width, film.height) == (528.0, 176.0)
    across = draw_film((10, 20), False, beliefs, [(0, "k0")], None)
    assert [shape.kind for shape in across.shapes] == ["rest", "k0"]
    # Beside each other: 86.8 units high below the picture, probabilities upwards.
    assert across.shapes[1].path.startswith("M0.0 267.1L160.0 267.1L160.0 202.0L320.0 202.0")


@pytest.mark.parametrize(
    ("count", "width", "numbers"),
    [(4, 320, [1, 2, 3, 4]), (16, 640, [*range(1, 17)]), (40, 640, [1, 21, 40])],
)
def test_frames_are_wide_enough_and_numbered(count: int, width: int, numbers: list[int]) -> None:
    names = range(1, count + 1)
    film = draw_film((10, 10 * count), False, np.ones((count, 1)), [], None, frames=names)
    _, y, *size = film.picture
    assert size == [width, width / count]
    assert [number for *_, number in film.numbers] == numbers
    for place, below, number in film.numbers:
        assert place == (number - 0.5) * width / count
        assert y + width / count < below < min(y for _, y, _ in film.titles[1:])


def test_the_runner_up_and_what_was_believed_have_colours() -> None:
    """Of class 7 the network was sure on the way, and of 5 a little; 3 and 1 came close."""
    beliefs = np.zeros((3, 10))
    beliefs[0, [7, 5, 8]] = 0.9, 0.06, 0.04
    beliefs[1, [7, 8, 3]] = 0.3, 0.3, 0.4
    beliefs[2, [8, 1, 3, 7]] = 0.47, 0.31, 0.21, 0.01
    of_right = class_kinds(beliefs[-1], beliefs, 8, 8)
    assert of_right == [(8, "k0"), (1, "k2"), (3, "k3"), (7, "k4")]
    of_wrong = class_kinds(beliefs[-1], beliefs, 8, 2)
    assert of_wrong == [(8, "k0"), (2, "k1"), (1, "k2"), (3, "k3"), (7, "k4")]
    # A runner-up is named however improbable it is, others from 1 % on; none twice.
    sure = np.array([0.998, 0.0015, 0.0005])
    assert class_kinds(sure, None, 0, 0) == [(0, "k0"), (1, "k2")]
    assert class_kinds(sure, None, 0, 1) == [(0, "k0"), (1, "k1")]


def test_the_largest_confusion_is_the_darkest() -> None:
    matrix = np.array([[60, 40, 0], [1, 99, 0], [0, 10, 90]])
    expected = np.sqrt(np.array([[0, 0.4, 0], [0.01, 0, 0], [0, 0.1, 0]]) / 0.4)
    np.testing.assert_allclose(shades(matrix), expected)
    assert not shades(np.diag([3, 4])).any()


def test_frames_beside_each_other() -> None:
    clip = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((4, 2, 1), np.uint8)
    joined = strip(clip)
    assert joined.shape == (4, 32, 1)
    assert joined[0, ::2, 0].tolist() == [int((n + 0.5) * 40 / 16) for n in range(16)]
    large = np.full((3, 200, 100, 3), 7, np.uint8)
    assert strip(large).shape == (66, 99, 3)
    assert (strip(large) == 7).all()


def test_curves_of_known_and_other_metrics() -> None:
    rows = [
        {"step": 5, "split": "train", "loss": 2.0, "learning_rate": 0.1, "count": 9, "seconds": 1},
        {"step": 5, "split": "validation", "loss": 3.0, "mean_error": 7.0, "each": {}},
        {"step": 10, "split": "train", "loss": 1.0, "learning_rate": 0.2, "count": 9},
    ]
    names = {"loss": "loss", "learning_rate": "learning rate", "mean_error": "mean error"}
    assert curve_names(rows) == names
    words = "loss: train from 2 to 1 at step 10; validation from 3 to 3 at step 5"
    assert curve_words(rows, "loss") == words
    [train, validation] = curve_figure(rows, "loss").axes[0].lines
    assert train.get_xydata().tolist() == [[5, 2], [10, 1]]
    assert validation.get_xydata().tolist() == [[5, 3]]


def test_numbers_by_hand() -> None:
    truths, values = np.array([1.0, np.nan, 3.0, 5.0]), np.array([2.0, 9.0, 3.5, 4.0])
    words = number_words(truths, values)
    assert words.startswith("Of 3 known numbers, predictions are off by 0.8333 on average, and by")
    assert words.endswith("They lie 0.1667 above the truth on average.")
    [points] = number_figure(truths, values).axes[0].collections
    assert points.get_offsets().tolist() == [[1, 2], [3, 3.5], [5, 4]]
    assert number_words(truths[1:2], values[1:2]) == "No true number is known."


def test_a_chart_takes_the_colours_of_the_page() -> None:
    chart = svg(line_chart({"a <b>": ([1, 2], [0.001, 10.0])}, "step", "loss", log=True), 'a "b"')
    assert chart.startswith('<svg role="img" aria-label="a &#34;b&#34;" class="chart"')
    assert "var(--k0)" in chart and "var(--muted)" in chart
    assert "#0101" not in chart and "mathdefault" not in chart and "<metadata" not in chart
    assert " id=" not in chart.replace('<clipPath id="', "").replace('<path id="m', "")
    assert "DejaVu" not in chart


def test_each_corruption_is_explained() -> None:
    assert WORDS.keys() == STRENGTHS.keys()
