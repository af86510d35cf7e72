"""Groups that are never split, and leaks between splits that are named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqvision.data.dataset import Dataset
from seqvision.data.sources.groups import fraction_of_group, groups_of
from seqvision.data.sources.hash_split import cut, side_of
from tests.data.making import folders, npz, save_png, says


class Item:
    def __init__(self, group: str) -> None:
        self.group, self.fraction = group, fraction_of_group(group)


def test_no_group_lies_on_two_sides(rng: np.random.Generator) -> None:
    """100 random layouts: sizes, fractions and names of groups."""
    num_cut = 0
    for layout in range(100):
        count = int(rng.integers(40, 90))
        names = [f"{rng.choice(['p', 'patient ', 'video_'])}{n}-{layout}" for n in range(count)]
        items = [Item(names[n]) for n in rng.integers(0, count, int(rng.integers(100, 400)))]
        validation, test = rng.uniform(0.15, 0.35, 2).tolist()
        parts = cut({"train": items}, validation, test, True)
        sides = {name: {item.group for item in part} for name, part in parts.items()}
        assert not sides["train"] & sides["test"] and not sides["validation"] & sides["test"]
        assert not sides["train"] & sides["validation"]
        assert sum(map(len, parts.values())) == len(items)
        # A group's side depends on its name alone.
        assert all(
            side_of(fraction_of_group(group), validation, test) == name
            for name, groups in sides.items()
            for group in groups
        )
        num_cut += len(sides["test"]) / count < 2 * test
    assert num_cut == 100  # Near the fractions that were asked for.


def pictures(folder: Path, rng: np.random.Generator, names: list[str]) -> Path:
    for name in names:
        save_png(folder / name, rng.integers(0, 256, (6, 5, 1), np.uint8))
    return folder


NAMES = [f"{label}/patient{n % 30}-{n}.png" for n in range(120) for label in "ab"]


def sides_of(dataset: Dataset) -> list[set[str]]:
    return [
        {Path(name).name.split("-")[0] for name in split.names} for split in dataset.splits.values()
    ]


@pytest.mark.parametrize("form", ["paths", "names", "stems", "header", "pattern"])
@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_folders_are_split_by_groups(
    tmp_path: Path, form: str, resident_bytes: int, rng: np.random.Generator
) -> None:
    pictures(tmp_path, rng, NAMES[:120])
    options: dict[str, Any] = {"validation_fraction": 0.3, "test_fraction": 0.3}
    if form == "pattern":
        options["group_pattern"] = r"(patient\d+)-\d*[02468]\b|patient\d+"
    else:
        rows = {name: f"g {name.split('/')[1].split('-')[0]}" for name in NAMES[:120]}
        if form in ("names", "stems"):  # A name of either class is the same patient.
            rows = {f"{name[0]}/{name[2:]}": group for name, group in rows.items()}
        if form == "stems":
            rows = {name.removesuffix(".png"): group for name, group in rows.items()}
        lines = [f"{name},{group}" for name, group in rows.items()]
        if form == "header":
            lines = ["group,age,name", *[f"{group},7,{name}" for name, group in rows.items()]]
        (tmp_path / "groups.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    said: list[str] = []
    found = folders(tmp_path, resident_bytes=resident_bytes, say=said.append, **options)
    sides = sides_of(found)
    assert len(sides) == 3 and all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == 30
    assert any(line.startswith("groups: 120 examples are of 30 groups") for line in said)
    assert not any("leak" in line or "left out" in line for line in said)


def test_a_folder_may_be_the_name_of_its_examples(tmp_path: Path) -> None:
    files = [tmp_path / "a/p1/1.png", tmp_path / "a/p1/2.png", tmp_path / "b/p2/x/1.png"]
    (tmp_path / "groups.csv").write_text("a/p1,one\nb\\p2,two\n")
    assert groups_of(tmp_path, files, "", lambda line: None) == ["one", "one", "two"]
    assert groups_of(tmp_path, files, "", lambda line: None) != [""] * 3
    assert groups_of(tmp_path / "a", files[:2], "", lambda line: None) == ["", ""]


@pytest.mark.parametrize(
    ("table", "pattern", "words"),
    [
        ("a/1.png,x\n", "", "1 of 2 examples have no group, such as b/2.png"),
        ("a/1.png,x\nb/2.png,\n", "", "1 of 2 examples have no group"),
        ("a/1.png,x\na/1.png,y\n", "", "'a/1.png' is in two groups, 'x' and 'y'"),
        ("a/1.png\n", "", "entry 1 has 1 cells"),
        ("a/1.png,x,y\n", "", "entry 1 has 3 cells"),
        ("a,x\nb,y\n", r"\d", "config.data.group_pattern: '\\d', and"),
        (b"\xff\xfe", "", "no CSV file in UTF-8"),
        ("", r"(\d)\.jpg", "2 of 2 examples have no group, such as a/1.png: '(\\d)\\.jpg'"),
    ],
)
def test_what_is_wrong_with_groups(
    tmp_path: Path, table: str | bytes, pattern: str, words: str, rng: np.random.Generator
) -> None:
    pictures(tmp_path, rng, ["a/1.png", "b/2.png"])
    if table:
        content = table if isinstance(table, bytes) else table.encode()
        (tmp_path / "groups.csv").write_bytes(content)
    says(lambda: folders(tmp_path, group_pattern=pattern), words)


def test_a_bare_name_of_two_files_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    pictures(tmp_path, rng, ["a/1.png", "b/1.png"])
    (tmp_path / "groups.csv").write_text("1.png,x\n")
    says(lambda: folders(tmp_path), "'1.png' may be a/1.png or b/1.png")


def test_rows_of_no_example_are_counted_and_both_suffixes_may_be_left_out(tmp_path: Path) -> None:
    files = [tmp_path / "a/v01.nii.gz", tmp_path / "b/v02.nii.gz", tmp_path / "b/v03.NII.GZ"]
    said: list[str] = []
    rows = "v01,one\nb/v02,one\nb,one\nv04,one\nc/v01.nii.gz,two\n"
    (tmp_path / "groups.csv").write_text(rows)
    assert groups_of(tmp_path, files, "", said.append) == ["one"] * 3
    assert said[0].endswith("groups.csv: rows of no example, 2 of 5: v04, c/v01.nii.gz")
    assert said[1] == "groups: 3 examples are of 1 group: one"


def test_groups_of_arrays_are_counted_and_none_is_empty(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    arrays = {"images": rng.integers(0, 256, (8, 6, 5)).astype(np.uint8), "labels": [0, 1] * 4}
    said: list[str] = []
    np.savez(tmp_path / "x.npz", **arrays, groups=list("ppqqrrss"))
    npz(tmp_path / "x.npz", say=said.append)
    assert "groups: 8 examples are of 4 groups: p, q, r and 1 more" in said
    np.savez(tmp_path / "x.npz", **arrays, groups=["p", "", *"ppqqrr"])
    says(lambda: npz(tmp_path / "x.npz"), "groups is empty for 1 of 8 examples, such as number 1")


def test_too_few_groups_for_a_split(tmp_path: Path, rng: np.random.Generator) -> None:
    pictures(tmp_path, rng, NAMES[:40])
    says(
        lambda: folders(tmp_path, test_fraction=1e-6, group_pattern=r"patient\d"),
        "1e-06 of 40 examples (in 10 groups, each of which stays together) left none for test",
    )


def test_leaks_between_given_splits_are_counted(tmp_path: Path, rng: np.random.Generator) -> None:
    """Three planted copies under other names, and two patients of two splits."""
    root = tmp_path / "set"
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        names = [f"{split}/{label}/patient{n}-{label}.png" for n in range(first, first + 10)
                 for label in "ab"]  # fmt: skip
        pictures(root, rng, names)
    said: list[str] = []
    folders(root, say=said.append, group_pattern=r"patient\d+")
    assert not any("leak" in line for line in said)
    for number in range(3):
        copy = root / f"test/a/patient{50 + number}-x.png"
        copy.write_bytes((root / f"train/a/patient{number}-a.png").read_bytes())
    for number in (10, 11):
        pictures(root, rng, [f"test/b/patient{number}-y.png"])
    for resident_bytes in (0, 2**30):
        said = []
        folders(root, say=said.append, group_pattern=r"patient\d+", resident_bytes=resident_bytes)
        leaks = [line for line in said if "leak: " in line]
        assert len(leaks) == 2
        assert "3 of 25 test examples have the same content as train examples" in leaks[0]
        assert "2 of 25 test examples are of 2 groups that validation has too" in leaks[1]
        assert "such as patient10" in leaks[1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_leaks_in_arrays(tmp_path: Path, dtype: Any, rng: np.random.Generator) -> None:
    images = rng.integers(0, 120, (30, 6, 5)).astype(dtype)
    parts = {"train": images[:20], "val": images[18:24], "test": images[24:]}
    saved = {f"{name}_images": part for name, part in parts.items()}
    saved |= {f"{name}_labels": np.arange(len(part)) % 2 for name, part in parts.items()}
    np.savez(tmp_path / "x.npz", **saved)
    said: list[str] = []
    npz(tmp_path / "x.npz", say=said.append)
    [line] = [line for line in said if "leak: " in line]
    assert "2 of 6 validation examples have the same content as train examples" in line
    assert "val_images[0]" in line and "train_images[18]" in line
