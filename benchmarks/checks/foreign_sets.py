"""Foreign and mutated sets: arrays, IDX files, lines and their texts, split folders."""

import gzip
import io
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.checks.foreign_cases import SIDE, TEXTS, Case, drawn, file_case, mutated, mutations
from benchmarks.checks.foreign_pictures import saved

_COUNT = 12


def npz_cases(rng: np.random.Generator) -> Iterator[Case]:
    """`.npz` files, and `.npy` and zip files under that name."""
    images = rng.integers(0, 256, (_COUNT, SIDE, SIDE), np.uint8)
    labels = np.arange(_COUNT) % 3
    known = (images, labels)
    right: dict[str, dict[str, Any]] = {
        "plain": {"images": images, "labels": labels},
        "column": {"labels": labels[:, None], "images": images},
        "one channel": {"images": images[..., None], "labels": labels.astype(np.uint8)},
        "fortran": {"images": np.asfortranarray(images), "labels": labels.astype(">i8")},
        "keras": {"x_train": images, "y_train": labels},
        "sklearn": {"data": images, "target": labels},
        "X": {"X": images, "y": labels},
        "unnamed": {"arr_0": images, "arr_1": labels},
        "train": {"train_images": images, "train_labels": labels},
        "strings": {"images": images, "labels": np.array(list("abc"))[labels]},
        "bytes": {"images": images, "labels": np.array([b"a", b"b", b"c"])[labels]},
        "bool": {"images": images, "labels": labels > 0},
        "from 1": {"images": images, "labels": labels + 1},
        "names": {"images": images, "labels": labels, "class_names": list("xyz")},
        "more": {"images": images, "labels": labels, "remark": np.array("by hand")},
    }
    for name, arrays in right.items():
        expected = (images, labels > 0) if name == "bool" else known
        yield file_case("npz", "npz", f"{name}.npz", _npz(arrays), expected)
    packed = _npz(right["plain"], compressed=True)
    yield file_case("npz", "npz", "packed.npz", packed, known)
    for name, arrays in _wrong_arrays(images, labels).items():
        yield file_case("npz", "npz", f"{name}.npz", _npz(arrays))
    one, several = io.BytesIO(), io.BytesIO()
    np.save(one, images)
    with zipfile.ZipFile(several, "w") as archive:
        for number in range(3):
            archive.writestr(f"a/{number}.png", saved(Image.fromarray(images[number])))
    yield file_case("npz", "npz", "one array.npz", one.getvalue())
    yield file_case("npz", "npz", "zip of pictures.npz", several.getvalue())
    yield file_case("npz", "npz", "picture.npz", saved(Image.fromarray(images[0])))
    for shape in ((_COUNT, SIDE, SIDE + 1), (10**9, SIDE, SIDE), (-1, SIDE, SIDE), (2**40, 2**40)):
        yield file_case("npz", "npz", f"header{shape}.npz", _with_header(shape, images, labels))
    files = [("plain.npz", _npz(right["plain"]), known), ("packed.npz", packed, known)]
    for _ in range(2):
        yield from mutated("npz", files, rng)
    # Streamed: what lies in the file is read by a memory map.
    streamed = {"data.resident_bytes": 0}
    many = np.tile(images, (8, 1, 1)), np.tile(labels, 8)
    content = _npz({"images": many[0], "labels": many[1]})
    yield file_case("npz, streamed", "npz", "streamed.npz", content, many, **streamed)
    for number, (_, changed) in enumerate(mutations(content, rng)):
        yield file_case("npz, streamed", "npz", f"s{number}.npz", changed, None, **streamed)


def _npz(arrays: Mapping[str, Any], compressed: bool = False) -> bytes:
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, **arrays)
    return stream.getvalue()


def _with_header(shape: tuple[int, ...], images: np.ndarray, labels: np.ndarray) -> bytes:
    stream, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + images.tobytes())
        of_labels = io.BytesIO()
        np.save(of_labels, labels)
        archive.writestr("labels.npy", of_labels.getvalue())
    return stream.getvalue()


def _wrong_arrays(images: np.ndarray, labels: np.ndarray) -> dict[str, dict[str, Any]]:
    floats = images / np.float32(255)
    kinds: list[np.ndarray] = [
        floats,
        floats.astype(np.float16),
        images.astype(np.int64),
        images > 127,
    ]
    kinds += [images.astype(">u2") * 257, images.astype(complex), images.astype("S3")]
    found: dict[str, Any] = {f"images {k.dtype.name}": (k, labels) for k in kinds}
    found |= {
        "nan": (np.full_like(floats, np.nan), labels),
        "infinite": (np.full_like(floats, np.inf), labels),
        "equal": (np.full_like(images, 7), labels),
        "flat": (images.reshape(_COUNT, -1), labels),
        "one": (images[0], labels),
        "none": (images[:0], labels[:0]),
        "no height": (images[:, :0], labels),
        "number": (np.uint8(3), labels),
        "last": (np.moveaxis(images, 0, -1), labels),
        "4 channels": (np.stack([images] * 4, -1), labels),
        "channels first": (np.stack([images] * 3, 1), labels),
        "structured": (np.zeros(_COUNT, [("a", "u1"), ("b", "f4")]), labels),
        "fewer labels": (images, labels[:-1]),
        "more labels": (images, np.append(labels, 0)),
        "one-hot": (images, np.eye(3)[labels]),
        "multi-label": (images, np.ones((_COUNT, 3), int)),
        "negative": (images, labels - 1),
        "far": (images, labels * 10**9),
        "unsigned": (images, np.full(_COUNT, 2**64 - 1, np.uint64)),
        "float labels": (images, labels + 0.5),
        "nan labels": (images, np.full(_COUNT, np.nan)),
        "dates": (images, np.full(_COUNT, "2020-01-01", "datetime64[D]")),
        "empty names": (images, np.full(_COUNT, "")),
        "line breaks": (images, np.array(["a\nb", "c"] * (_COUNT // 2))),
        "not UTF-8": (images, np.array([b"\xff", b"a"] * (_COUNT // 2))),
        "one class": (images, labels * 0),
        "a hole": (images, labels * 2),
    }
    return {
        name: dict(zip(("images", "labels"), two, strict=True)) for name, two in found.items()
    } | {
        "no labels": {"images": images},
        "nothing": {},
        "two names": {"images": images, "labels": labels, "class_names": ["a", "b"]},
        "equal names": {"images": images, "labels": labels, "class_names": ["a", "a", "b"]},
        "slip": {"image": images, "labels": labels},
        "both": {"images": images, "labels": labels, "train_images": images},
        "both names": {"x_train": images, "train_x": images, "y_train": labels},
        "lengths": {"images": images, "labels": labels, "lengths": labels},
    }


def idx_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Folders of IDX files."""
    images = rng.integers(0, 256, (_COUNT, SIDE, SIDE), np.uint8)
    labels = (np.arange(_COUNT) % 3).astype(np.uint8)
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
    contents = (idx(images), idx(labels))
    known = (images, labels)
    zipped = tuple(gzip.compress(content, mtime=0) for content in contents)
    layouts: dict[str, tuple[dict[str, bytes], Any]] = {
        "plain": (dict(zip(names, contents, strict=True)), known),
        "dots": ({n.replace("-idx", ".idx"): c for n, c in zip(names, contents, strict=True)},
                 known),
        "gzipped": ({f"{n}.gz": c for n, c in zip(names, zipped, strict=True)}, known),
        "unzipped names": ({f"{n}.gz": c for n, c in zip(names, contents, strict=True)}, known),
        "both": (
            dict(zip(names, contents, strict=True)) | {f"{names[0]}.gz": zipped[0]}, known
        ),
        "in parts": (
            {f"{names[0]}.gz": gzip.compress(contents[0][:99]) + gzip.compress(contents[0][99:]),
             names[1]: contents[1]}, known,
        ),
        "swapped": (dict(zip(names, contents[::-1], strict=True)), None),
        "only images": ({names[0]: contents[0]}, None),
        "a test without labels": (
            dict(zip(names, contents, strict=True)) | {"t10k-images-idx3-ubyte": contents[0]}, None
        ),
        "float": ({names[0]: struct.pack(">2x2B", 13, 1) + bytes(9), names[1]: contents[1]}, None),
        "fewer labels": ({names[0]: contents[0], names[1]: idx(labels[:-1])}, None),
        "huge": ({names[0]: struct.pack(">2x2B3I", 8, 3, *[2**32 - 1] * 3), names[1]: contents[1]},
                 None),
        "none": ({names[0]: idx(images[:0]), names[1]: idx(labels[:0])}, None),
        "no dimension": ({names[0]: bytes([0, 0, 8, 0, 7]), names[1]: contents[1]}, None),
        "pictures": ({f"{n}.png": saved(Image.fromarray(images[0])) for n in names}, None),
    }  # fmt: skip
    for name, (files, right) in layouts.items():
        yield _set("IDX", f"IDX {name}", files, right, "idx")
    for number, (_, changed) in enumerate(mutations(contents[0], rng)):
        yield _set("IDX", f"IDX images {number}", {names[0]: changed, names[1]: contents[1]})
    for number, (_, changed) in enumerate(mutations(contents[1], rng)):
        yield _set("IDX", f"IDX labels {number}", {names[0]: contents[0], names[1]: changed})
    for number, (_, changed) in enumerate(mutations(zipped[0], rng)):
        files = {f"{names[0]}.gz": changed, names[1]: contents[1]}
        yield _set("IDX", f"IDX gzipped {number}", files)


def idx(array: np.ndarray) -> bytes:
    """An array of bytes as an IDX file."""
    return struct.pack(f">2x2B{array.ndim}I", 8, array.ndim, *array.shape) + array.tobytes()


def table_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Lines of writing: `labels.tsv`, `.gt.txt`."""
    images = {f"images/{n}.png": _line(text) for n, text in enumerate(TEXTS)}
    rows = [f"{n}.png\t{text}" for n, text in enumerate(TEXTS)]
    table = "\n".join(rows) + "\n"
    tables: dict[str, tuple[bytes, Any]] = {
        "plain": (table.encode(), TEXTS),
        "CRLF": (table.replace("\n", "\r\n").encode(), TEXTS),
        "BOM": (b"\xef\xbb\xbf" + table.encode(), TEXTS),
        "blank rows": (table.replace("\n", "\n\n \n").encode(), TEXTS),
        "no last line break": (table[:-1].encode(), TEXTS),
        "blanks around": (table.replace("\t", " \t  ").replace("\n", "  \n").encode(), TEXTS),
        "images/": (table.replace(".png", ".png").replace("\n", "\nimages/")[:-7].encode(), TEXTS),
        "backslash": ("\n".join(f".\\{row}" for row in rows).encode(), TEXTS),
        "UTF-16": (table.encode("utf-16"), None),
        "Latin-1": (table.replace("a", "é").encode("latin-1"), None),
        "old Mac": (table.replace("\n", "\r").encode(), None),
        "NUL": (table.replace("a", "\0").encode(), None),
        "commas": (table.replace("\t", ",").encode(), None),
        "a head": (("file\ttext\n" + table).encode(), None),
        "two tabs": (table.replace("a", "a\t").encode(), None),
        "quotes": (table.replace("\t", '\t"').encode(), None),
        "a row twice": ((table + rows[0]).encode(), None),
        "no text": ((table.replace("bb", "")).encode(), None),
        "another image": ((table + "9.png\ta\n").encode(), None),
        "one image fewer": ("\n".join(rows[1:]).encode(), None),
        "above": (table.replace("0.png", "../../0.png").encode(), None),
        "absolute": (table.replace("0.png", "/etc/passwd").encode(), None),
        "long": (table.replace("bb", "ab" * 4000).encode(), None),
        "invisible": (table.replace(" ", "\u00a0").encode(), None),
        "controls": (table.replace("a", "\x1b[31m").encode(), None),
        "lines in it": (table.replace("a", "\u2028").encode(), None),
        "right to left": (table.replace("a", "א").encode(), None),
        "emoji": (table.replace("a", "👩‍👩‍👧").encode(), None),
        "empty": (b"", None),
        "blank": (b" \n\t\n", None),
    }
    for name, (content, texts) in tables.items():
        yield _lines("label tables", f"table {name}", {"labels.tsv": content, **images}, texts)
    for number, (_, changed) in enumerate(mutations(table.encode(), rng)):
        files = {"labels.tsv": changed, **images}
        yield _lines("label tables", f"table {number}", files)
    pairs = {f"{n}.png": _line(text) for n, text in enumerate(TEXTS)}
    texts = {f"{n}.gt.txt": f"{text}\n".encode() for n, text in enumerate(TEXTS)}
    others: dict[str, tuple[bytes, Any]] = {
        "plain": (texts["0.gt.txt"], TEXTS),
        "BOM": (b"\xef\xbb\xbf" + texts["0.gt.txt"] + b"\r\n\r\n", TEXTS),
        "two lines": (b"ab\nba\n", None),
        "empty": (b"", None),
        "UTF-16": ("ab ba".encode("utf-16"), None),
        "bytes": (rng.bytes(200), None),
        "picture": (pairs["0.png"], None),
    }
    for name, (content, right) in others.items():
        files = pairs | texts | {"0.gt.txt": content}
        yield _lines("gt.txt", f"gt.txt {name}", files, right)
    yield _lines("gt.txt", "gt.txt alone", texts)
    yield _lines("gt.txt", "gt.txt in two", pairs | texts | {"0.jpg": pairs["0.png"]})
    yield _lines("gt.txt", "gt.txt bin", _renamed(pairs | texts, ".png", ".bin.png"), TEXTS)
    yield _lines("gt.txt", "gt.txt beside", pairs | texts | {"more.png": pairs["1.png"]}, TEXTS)
    for number, (_, changed) in enumerate(mutations(pairs["0.png"], rng)):
        yield _lines("gt.txt", f"gt.txt {number}", pairs | texts | {"0.png": changed})


def folder_cases(rng: np.random.Generator) -> Iterator[Case]:
    """Class folders and folders of splits; known are the classes, and the sizes of the splits."""
    two = {"train": 6, "test": 6}
    layouts: dict[str, tuple[tuple[str, ...], Any]] = {
        "classes": (("a", "b"), (("a", "b"), {"train": 6})),
        "splits": (("train/a", "train/b", "test/a", "test/b"), (("a", "b"), two)),
        "valid": (("train/a", "train/b", "valid/a", "valid/b"),
                  (("a", "b"), {"train": 6, "validation": 6})),
        "of Kaggle": (("seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a",
                       "seg_test/seg_test/b"), (("a", "b"), two)),
        "one below": (("data/train/a", "data/train/b", "data/test/a", "data/test/b"),
                      (("a", "b"), two)),
        "two below": (("x/y/a", "x/y/b"), None),
        "doubled": (("set/a", "set/b"), (("a", "b"), {"train": 6})),
        "images below": (("train/images/a", "train/images/b", "test/images/a", "test/images/b"),
                         (("a", "b"), two)),
        "inside": (("a/train", "a/test", "b/train", "b/test"), (("a", "b"), two)),
        "groups": (("a/x", "a/y/z", "b/x/q"), (("a", "b"), {"train": 9})),
        "one class": (("a",), None),
        "no train": (("test/a", "test/b"), None),
        "two trains": (("train/a", "train/b", "training/a", "training/b"), None),
        "folds": (("fold1/a", "fold1/b", "fold2/a", "fold2/b"), None),
        "beside": (("train/a", "train/b", "test/a", "c"), None),
        "unknown class": (("train/a", "train/b", "test/a", "test/c"), None),
    }  # fmt: skip
    for name, (folders, known) in layouts.items():
        files = {
            f"{folder}/p{chr(97 + n) * 2}.png": saved(
                Image.fromarray(rng.integers(0, 256, (SIDE, SIDE), np.uint8))
            )
            for folder in folders
            for n in range(3)
        }
        yield _set("split folders", f"folders {name}", files, known, "folders")
        more = files | {f"{folders[0]}/Thumbs.db": b"x", "README.txt": b"x", ".DS_Store": b"x"}
        yield _set("split folders", f"folders {name}, more", more, known, "folders")
        broken = files | {f"{folders[0]}/pbb.png": b"x"}
        yield _set("split folders", f"folders {name}, broken", broken, None, "folders")


def _line(text: str) -> bytes:
    return saved(Image.fromarray(255 - drawn(text)))


def _renamed(files: Mapping[str, bytes], old: str, new: str) -> dict[str, bytes]:
    return {name.replace(old, new): content for name, content in files.items()}


def _set(
    kind: str, name: str, files: Mapping[str, bytes], known: Any = None, source: str = "idx"
) -> Case:
    """A case of a folder of files."""

    def write(folder: Path) -> Path:
        root = folder / "set"
        root.mkdir()
        for file, content in files.items():
            path = root / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return root

    return Case(kind, name, "set", write, known, {"data.source": source})


def _lines(kind: str, name: str, files: Mapping[str, bytes], texts: Any = None) -> Case:
    return _set(kind, name, files, texts, "lines")
