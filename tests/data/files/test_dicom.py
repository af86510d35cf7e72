"""DICOM files as images and clips: values, order, and one line for what is wrong."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.files.clips import frame_files, kind_of, read_clip, read_frames
from seqvision.data.files.doubts import Doubts
from seqvision.data.files.images import read_image
from seqvision.data.files.opening import UnreadableImageError
from seqvision.data.files.tones import Tones
from seqvision.data.files.volumes import volume_header
from seqvision.errors import UserError
from tests.data.files.dicom_files import AXIAL, save_dicom, save_series
from tests.data.making import arrays, folders, says

pydicom = pytest.importorskip("pydicom")

RAMP = np.arange(20, dtype=np.uint16).reshape(4, 5) * 100


def grey(path: Path, low: float, high: float) -> np.ndarray:
    return read_frames(path, tones=Tones((low, high)))[..., 0]


def linear(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.clip((values.astype(np.float64) - low) / (high - low) * 255, 0, 255).round()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_grey_values_go_through_slope_and_intercept(
    tmp_path: Path, dtype: Any, rng: np.random.Generator
) -> None:
    info = np.iinfo(dtype)
    stored = rng.integers(max(info.min, -3000), min(info.max, 3000), (4, 5), dtype)
    path = save_dicom(tmp_path / "x.dcm", stored, RescaleSlope=0.5, RescaleIntercept=-100)
    physical = stored * 0.5 - 100
    np.testing.assert_array_equal(grey(path, -500, 900)[0], linear(physical, -500, 900))
    assert kind_of(path) == "image"
    sign = "signed" if info.min else "unsigned"
    assert volume_header(path).kind == f"CT in HU, MONOCHROME2, {sign}"


def test_monochrome1_is_inverted_after_the_range(tmp_path: Path) -> None:
    facts = {"Modality": "CR", "BitsStored": 12, "HighBit": 11}
    one = save_dicom(tmp_path / "1.dcm", RAMP, PhotometricInterpretation="MONOCHROME1", **facts)
    two = save_dicom(tmp_path / "2.dcm", RAMP, PhotometricInterpretation="MONOCHROME2", **facts)
    np.testing.assert_array_equal(grey(two, 0, 4095)[0], linear(RAMP, 0, 4095))
    np.testing.assert_array_equal(grey(one, 0, 4095), 255 - grey(two, 0, 4095))
    assert read_image(one, (4, 5, 1), "mixed", tones=Tones((0, 4095)))[0, 0, 0] == 255


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("case", ["low", "high", "other sign", "range"])
def test_padding_is_black_and_no_extreme(tmp_path: Path, case: str, photometric: str) -> None:
    """Its row is black in both, and the range of the set is that of all other pixels."""
    padding = 30000 if case == "high" else -2000
    facts: dict[str, Any] = {"PhotometricInterpretation": photometric}
    facts["PixelPaddingValue"] = padding
    if case == "range":
        facts["PixelPaddingRangeLimit"] = -1990
    known = np.arange(15, dtype=np.int16).reshape(3, 5) * 100 - 500
    for number, name in enumerate("ab"):
        stored = np.concatenate([np.full((1, 5), padding, np.int16), known + number])
        stored[0, 1:3] = (-1990, -1995) if case == "range" else padding
        path = save_dicom(tmp_path / name / "x.dcm", stored, **facts)
        if case == "other sign":  # 63536 in a file of signed values, as some scanners write it.
            dataset = pydicom.dcmread(path)
            del dataset.PixelPaddingValue
            dataset.add_new("PixelPaddingValue", "US", 2**16 + padding)
            dataset.save_as(path)
    dataset = folders(tmp_path)
    assert dataset.tones.value_range == (-500, 901)
    grey = linear(known, -500, 901)
    expected = 255 - grey if photometric == "MONOCHROME1" else grey
    found = arrays(dataset).inputs[0, ..., 0]
    assert not found[0].any()
    np.testing.assert_array_equal(found[1:], expected)


def test_each_frame_of_a_cine_has_its_own_slope(tmp_path: Path) -> None:
    """PS3.3, C.7.6.16.2.9: PixelValueTransformationSequence of each frame."""
    stored = np.stack([RAMP, RAMP, RAMP])
    slopes = [1.0, 2.0, 0.5]
    path = save_dicom(
        tmp_path / "x.dcm", stored, Modality="MR", NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=[
            {"PixelValueTransformationSequence": [{"RescaleSlope": slope, "RescaleIntercept": -10,
                                                   "RescaleType": "US"}]}
            for slope in slopes
        ],
    )  # fmt: skip
    assert kind_of(path) == "clip"
    for frame, slope in zip(grey(path, 0, 4000), slopes, strict=True):
        np.testing.assert_array_equal(frame, linear(RAMP * slope - 10, 0, 4000))


def test_slices_of_an_enhanced_file_are_ordered_by_their_places(tmp_path: Path) -> None:
    places = [3.0, 1.0, 2.0, 0.0]
    stored = np.stack([RAMP + 1000 * round(z) for z in places]).astype(np.uint16)
    groups = [{"PlanePositionSequence": [{"ImagePositionPatient": [0.0, 0.0, z]}]} for z in places]
    shared = [{"PlaneOrientationSequence": [{"ImageOrientationPatient": list(AXIAL)}]}]
    path = save_dicom(
        tmp_path / "x.dcm", stored, NumberOfFrames=4, PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=shared,
    )  # fmt: skip
    assert grey(path, 0, 5100)[:, 0, 0].tolist() == [0, 50, 100, 150]


def test_colours(tmp_path: Path, rng: np.random.Generator) -> None:
    colours = rng.integers(0, 256, (4, 5, 3), np.uint8)
    path = save_dicom(tmp_path / "x.dcm", colours)
    np.testing.assert_array_equal(read_frames(path)[0], colours)
    deep = rng.integers(0, 4096, (4, 5, 3), np.uint16)
    path = save_dicom(tmp_path / "y.dcm", deep, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_frames(path)[0], np.rint(deep * (255 / 4095)))


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (AXIAL, [0, 2, 4, 6]),  # Towards the head.
        ((1, 0, 0, 0, -1, 0), [6, 4, 2, 0]),  # The rows the other way: towards the feet.
    ],
)
def test_slices_are_ordered_along_the_normal_of_their_plane(
    tmp_path: Path, orientation: tuple[float, ...], expected: list[int]
) -> None:
    folder = save_series(tmp_path / "s", [4, 0, 6, 2], ImageOrientationPatient=list(orientation))
    assert [round(frame[1, 1] / 25.5) for frame in grey(folder, 0, 10)] == expected
    assert kind_of(folder) == "clip" and len(frame_files(folder)) == 4
    # A film of one slice, and files without places, go by their numbers.
    numbers = save_series(tmp_path / "n", [4, 0, 6, 2], ImagePositionPatient=None)
    assert [round(frame[1, 1] / 25.5) for frame in grey(numbers, 0, 10)] == [4, 0, 6, 2]
    film = save_series(tmp_path / "f", [4, 0, 6, 2], ImagePositionPatient=[0.0, 0.0, 1.0])
    assert [round(frame[1, 1] / 25.5) for frame in grey(film, 0, 10)] == [4, 0, 6, 2]


def damaged_series(folder: Path, kind: str) -> Path:
    """A folder of slices that cannot be put in order."""
    save_series(folder, [0, 2, 4, 6])
    last = folder / "3.dcm"
    changes: dict[str, Any] = {
        "missing": {"ImagePositionPatient": [-10.0, -20.0, 8.0]},
        "twice": {"ImagePositionPatient": [-10.0, -20.0, 4.0]},
        "spacing": {"PixelSpacing": [0.7, 0.7]},
        "series": {"SeriesInstanceUID": "1.2.4"},
        "scout": {"ImageOrientationPatient": [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]},
        "askew": {"ImageOrientationPatient": [1.0, 0.0, 0.0, 0.5, 1.0, 0.0]},
        "nowhere": {"ImagePositionPatient": None},
    }
    if kind in changes:
        dataset = pydicom.dcmread(last)
        for name, value in changes[kind].items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        dataset.save_as(last)
    elif kind == "size":
        save_dicom(last, RAMP[:3], ImagePositionPatient=[-10.0, -20.0, 6.0],
                   ImageOrientationPatient=list(AXIAL), PixelSpacing=[0.5, 0.5])  # fmt: skip
    elif kind == "short":
        last.write_bytes(last.read_bytes()[:-12])
    elif kind == "other":
        np.save(folder / "x.npy", RAMP)
    return folder


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "slices are missing: 2.dcm and 3.dcm lie 4 mm apart, and others 2 mm"),
        ("twice", "two slices at one place, 2.dcm and 3.dcm"),
        ("spacing", "0.dcm 0.5 x 0.5 mm, 3.dcm 0.7 x 0.7 mm"),
        ("series", "slices of 2 series, such as 0.dcm and 3.dcm"),
        ("scout", "different orientations, such as 0.dcm and 3.dcm"),
        ("askew", "slice 3.dcm contradicts itself"),
        ("nowhere", "0.dcm has a position and 3.dcm has none"),
        ("size", "frame 1 is 4 x 5, frame 4 is 3 x 5"),
        ("short", "its frame 3.dcm: The number of bytes of pixel data is less than expected"),
        ("other", "DICOM files, such as 0.dcm, among others, such as x.npy"),
    ],
)
def test_what_is_wrong_with_a_series_is_one_line(tmp_path: Path, kind: str, words: str) -> None:
    folder = damaged_series(tmp_path / "set/a/1", kind)
    save_series(tmp_path / "set/b/1", [0, 2, 4, 6])
    with pytest.raises(UnreadableImageError) as error:
        read_frames(folder)
    assert words in str(error.value) and "\n" not in str(error.value)
    said: list[str] = []
    says(lambda: folders(tmp_path / "set", reads_clips=True), words, "broken_files = 'skip'")
    options: dict[str, Any] = {"broken_files": "skip", "reads_clips": True, "say": said.append}
    says(lambda: folders(tmp_path / "set", **options), "class a has no training examples")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"no DICOM at all" * 20, "no DICOM file, or one without its preamble"),
    ],
)
def test_files_that_are_no_dicom(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=words):
        read_frames(tmp_path / "x.dcm")


def test_a_file_without_its_decoder_names_one(tmp_path: Path, monkeypatch: Any) -> None:
    """Each decoder of the file's syntax is taken away, as where none is installed."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLSLossless

    path = save_dicom(tmp_path / "x.dcm", RAMP)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = pydicom.encaps.encapsulate([RAMP.tobytes()])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    monkeypatch.setattr(get_decoder(JPEGLSLossless), "_available", {})
    with pytest.raises(UnreadableImageError) as error:
        read_frames(path)
    assert "JPEG-LS Lossless" in str(error.value) and "pip install python-gdcm" in str(error.value)


def test_dicom_without_pydicom_names_the_extra(tmp_path: Path, monkeypatch: Any) -> None:
    path = save_dicom(tmp_path / "x.dcm", RAMP)
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UserError, match=r"x\.dcm: a DICOM file; .*'seqvision\[medical\]'"):
        read_frames(path)


def test_class_folders_of_series(tmp_path: Path) -> None:
    """Files without a suffix, a report and a DICOMDIR beside them; windows; what is said."""
    for number, name in enumerate("ab"):
        for patient in range(3):
            folder = save_series(tmp_path / name / f"p{patient}", [0, 30, 60 + number])
            for file in list(folder.iterdir()):
                file.rename(file.with_suffix(""))
        report = save_dicom(tmp_path / name / "p0/report.dcm", RAMP, Modality="SR")
        dataset = pydicom.dcmread(report)
        del dataset.Rows, dataset.PixelData
        dataset.save_as(report)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    said: list[str] = []
    tones = Tones((0, 80), "", ((-20, 180), (-500, 1300)), chosen="ct:brain+subdural+bone")
    found = folders(tmp_path, reads_clips=True, tones=tones, say=said.append)
    assert found.input_shape == (3, 4, 5, 3) and len(found.splits["train"]) == 6
    pixel = arrays(found).inputs[0, :, 1, 1]
    for channel, window in enumerate(tones.ranges):
        np.testing.assert_array_equal(pixel[:, channel], linear(np.array([0, 30, 60]), *window))
    assert str(found.tones).startswith("ct:brain+subdural+bone: 0 (black) to 80 (white)")
    assert found.tones.kinds == ("CT in HU, MONOCHROME2, signed",)
    assert any("other files left out" in line and ".dcm" in line for line in said)
    streamed = folders(tmp_path, reads_clips=True, tones=tones, resident_bytes=1)
    numbers = np.arange(6, dtype=np.int32)
    np.testing.assert_array_equal(
        streamed.splits["train"].read(numbers)["inputs"], arrays(found).inputs
    )


def test_files_of_several_kinds_are_named(tmp_path: Path) -> None:
    for name in "ab":
        save_dicom(tmp_path / name / "1.dcm", RAMP)
        save_dicom(tmp_path / name / "2.dcm", RAMP[::-1].copy(), Modality="MR")
    said: list[str] = []
    found = folders(tmp_path, say=said.append)
    [line] = [line for line in said if "several kinds" in line]
    assert "2 CT in HU, MONOCHROME2, unsigned, such as" in line and "2 MR, MONOCHROME2" in line
    assert found.tones.kinds == ("CT in HU, MONOCHROME2, unsigned", "MR, MONOCHROME2, unsigned")
    doubts = Doubts()
    kinds = ("CT in HU, MONOCHROME2, signed",)
    for file, doubtful in (("1.dcm", False), ("2.dcm", True)):
        read_clip(tmp_path / "a" / file, (4, 5, 1), Tones((0, 2000), kinds=kinds), doubts)
        said_of = doubts.taken() or ""
        assert ("its values are MR, and this run was trained on CT in HU" in said_of) == doubtful


def test_order_by_number_is_said(tmp_path: Path) -> None:
    for name in "ab":
        save_series(tmp_path / name / "1", [0, 1, 2], ImagePositionPatient=None)
    said: list[str] = []
    folders(tmp_path, reads_clips=True, say=said.append)
    assert any("in the order of their instance numbers" in line for line in said)
