"""Checks of the targets of all splits: what nothing could be learnt from, or measured by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from seqvision.data.files.paths import few, shown
from seqvision.data.targets import Targets, known
from seqvision.errors import UserError


def checked_targets(
    where: str,
    class_names: tuple[str, ...],
    splits: Mapping[str, Sequence[Any]],
    targets: Targets,
    num_steps: int,
    say: Callable[[str], None],
) -> Targets:
    """The targets, fitted to the training split.

    Args:
      where: the file or folder, for errors.
      class_names: of the classes or labels.
      splits: the examples of each.
      targets: what their labels are.
      num_steps: of the longest clip.
      say: called with a line about labels that training cannot learn.

    Raises:
      UserError: a class without training examples, a split without any known target, or training
        numbers that are all equal.
    """
    labels = {
        name: targets.array([example.label for example in part], num_steps)
        for name, part in splits.items()
    }
    train = labels["train"]
    for name, array in labels.items():
        if len(array) and not known(array).any():
            raise UserError(
                f"{where}: no target of its {name} split is known; give it some, or remove it"
            )
    if targets.gives_classes:
        counts = np.bincount(train[known(train)], minlength=len(class_names))
        missing = [name for name, count in zip(class_names, counts, strict=True) if not count]
        if missing:
            number = class_names.index(missing[0])
            found = _such_as(splits, labels, number)
            raise _missing(where, [shown(name) for name in missing], found)
    if targets.kind == "labels":
        never = [
            n for n, column in zip(class_names, train.T, strict=True) if not (column > 0).any()
        ]
        if never:
            say(f"{where}: never true in training: {few([shown(name) for name in never])}")
    fitted = targets.fitted(train)
    if targets.kind == "number" and not fitted.scale > 0:
        raise UserError(
            f"{where}: all training numbers are {fitted.offset:g}; there is nothing to predict"
        )
    return fitted


def _such_as(
    splits: Mapping[str, Sequence[Any]], labels: Mapping[str, np.ndarray], number: int
) -> str:
    """Where a class is, in words; "" where it is nowhere."""
    for name, array in labels.items():
        has = (array == number).any(axis=tuple(range(1, array.ndim)))
        if has.any():
            return f" ({shown(splits[name][int(has.argmax())].name)} of {name} has it)"
    return ""


def _missing(where: str, missing: list[str], found: str) -> UserError:
    named = f"classes {few(missing)} have" if len(missing) > 1 else f"class {missing[0]} has"
    return UserError(
        f"{where}: {named} no training examples{found}; add some, choose a smaller"
        " config.data.validation_fraction or config.data.test_fraction, or leave the class out"
    )
