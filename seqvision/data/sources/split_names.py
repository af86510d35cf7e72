"""The names that people give to the folders of splits, and which folders of a level are splits."""

import re
from collections.abc import Iterable
from pathlib import Path

from seqvision.data.files.paths import few, shown
from seqvision.errors import UserError

_WORDS = {
    "train": ("train", "training", "trn", "trainset"),
    "validation": ("val", "valid", "validation", "validate", "valset", "dev", "devset",
                   "development", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "testset"),
}  # fmt: skip
_SPLIT_OF = {word: split for split, words in _WORDS.items() for word in words}
# Say nothing about which split it is: `training_set`, `test_images`.
FILLERS = {"set", "data", "images", "image", "imgs", "split", "folder"}
_EITHER = ("eval", "evaluation")


def split_of(name: str) -> tuple[str, str] | None:
    """The split that a folder's name means, and what else is in its name; None for other names.

    `Train`, `training_set`: ("train", ""); `seg_test`, `val2017`: ("test", "seg"),
    ("validation", "2017").
    """
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+", name)]
    found = [word for word in words if word in _SPLIT_OF]
    if len(found) != 1:
        return None
    rest = [word for word in words if word not in FILLERS and word != found[0]]
    return _SPLIT_OF[found[0]], " ".join(rest)


def split_folders(where: str, folders: Iterable[Path]) -> dict[str, Path]:
    """Which of the folders of a level are which split; empty where they are classes.

    Two or more names that are split names but for the same rest are splits; one alone among others
    is a class (CIFAR-100 has a `train`). `eval` is the test split beside `val`.

    Raises:
      UserError: two folders for one split, no `train`, folders that are no split beside splits.
    """
    folders = list(folders)
    meant = {folder: found for folder in folders if (found := split_of(folder.name))}
    rests = [rest for _, rest in meant.values()]
    rest = max(sorted(set(rests)), key=rests.count, default="")
    splits = [folder for folder, found in meant.items() if found[1] == rest]
    others = [folder for folder in folders if folder not in splits]
    if not splits or (len(splits) == 1 and (others or rest)):
        return {}
    result: dict[str, Path] = {}
    # `eval` last, since what it means depends on the others.
    for folder in sorted(splits, key=_is_either):
        split = meant[folder][0]
        if split in result and _is_either(folder) and "test" not in result:
            split = "test"
        if split in result:
            raise UserError(
                f"{where}: both {shown(result[split].name)} and {shown(folder.name)} are folders"
                f" for {split}; keep one of them"
            )
        result[split] = folder
    if others or "train" not in result:
        wrong = f"and also {shown(others[0].name)}" if others else "but no train"
        raise UserError(
            f"{where}: it has {few([f.name for f in splits])} {wrong}; either all its folders are"
            " train, val and test, or all are classes"
        )
    return result


def _is_either(folder: Path) -> bool:
    return any(word in folder.name.lower() for word in _EITHER)
