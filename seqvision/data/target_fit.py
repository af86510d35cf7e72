"""Whether a config fits the targets of its data."""

from collections.abc import Iterator

from seqvision.config.schema import Settings
from seqvision.data.dataset import Dataset
from seqvision.data.targets import Targets
from seqvision.errors import UserError

METRICS = {
    "class": ("accuracy", "balanced_accuracy", "f1", "auc", "map", "loss"),
    "steps": ("accuracy", "balanced_accuracy", "f1", "auc", "map", "loss"),
    "labels": ("accuracy", "balanced_accuracy", "f1", "auc", "map", "loss"),
    "number": ("mae", "rmse", "r2", "loss"),
}
"""By the kind of target, what `config.checkpoint.best_metric` may be beside `auto`."""


def check_targets(settings: Settings, dataset: Dataset) -> None:
    """Refuses fields that do not fit what is to be predicted.

    Raises:
      UserError: the first of them, with what would fit.
    """
    if settings.reads_text:
        return
    targets = dataset.targets
    for message in (
        *_metric(settings, dataset.name, targets),
        *_network(settings, dataset, targets),
        *_loss(settings, dataset.name, targets),
    ):
        raise UserError(message)


def _what(name: str, targets: Targets) -> str:
    return {
        "class": f"{name} has one class for each example",
        "steps": f"{name} has a class for every frame",
        "labels": f"{name} has several labels at once",
        "number": f"{name} has a number for each example",
    }[targets.kind]


def _metric(settings: Settings, name: str, targets: Targets) -> Iterator[str]:
    metric, allowed = settings.checkpoint.best_metric, ("auto", *METRICS[targets.kind])
    if metric not in allowed:
        yield (
            f"config.checkpoint.best_metric: '{metric}' is no metric here: {_what(name, targets)};"
            f" choose one of {', '.join(allowed)}"
        )


def _network(settings: Settings, dataset: Dataset, targets: Targets) -> Iterator[str]:
    readout = settings.model.readout
    if targets.kind == "steps":
        if not dataset.of_clips:
            yield (
                f"config.data.target: {dataset.name} holds images, and a class for every frame is"
                " for clips; save (N, frames, height, width), or give each image one class"
            )
        if readout != "per_step":
            yield (
                f"config.model.readout: '{readout}' gives one prediction for a whole clip, and"
                f" {_what(dataset.name, targets)}; choose per_step"
            )
    elif readout == "per_step" and settings.model.bidirectional:
        yield (
            "config.model.readout: per_step predicts after every step, and a bidirectional network"
            f" (config.model.bidirectional) needs the whole sequence first;"
            f" {_what(dataset.name, targets)}: choose another readout"
        )


def _loss(settings: Settings, name: str, targets: Targets) -> Iterator[str]:
    loss, kind = settings.loss, targets.kind
    fields = {
        "loss.label_smoothing": (loss.label_smoothing > 0, ("class", "steps"), "0"),
        "loss.step_weight": (loss.step_weight > 0, ("class", "labels", "number"), "0"),
        "loss.steps": (loss.steps != "all", ("steps",), "all"),
        "loss.class_weights": (
            loss.class_weights != "none",
            ("class", "steps", "labels"),
            "none",
        ),
        "data.balanced_draws": (settings.data.balanced_draws, ("class",), "false"),
    }
    for field, (is_set, kinds, default) in fields.items():
        if is_set and kind not in kinds:
            instead = f"leave it at {default}"
            if field == "data.balanced_draws" and kind in ("steps", "labels"):
                instead = "set config.loss.class_weights=balanced instead"
            yield f"config.{field}: it has no effect here: {_what(name, targets)}; {instead}"
