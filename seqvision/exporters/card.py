"""The card of an export: `README.md`, with the metadata that model hubs read."""

import json
from collections.abc import Sequence
from typing import Any

from seqvision.data.files.tones import FORMULA, Tones
from seqvision.exporters.card_code import code
from seqvision.exporters.scoring import Scoring, scoring_of
from seqvision.runs.files import ENVIRONMENT, IMPORTED
from seqvision.runs.records import read_record
from seqvision.runs.saved_run import Run

_WHAT = {
    "class": "Classifies images or clips",
    "steps": "Gives each frame of a clip a class",
    "labels": "Gives images or clips any of several labels",
    "number": "Predicts a number of images or clips",
}
_OUTPUTS = {
    "class": "The softmax of the logits is the probability of each class.",
    "steps": "The softmax of the logits of a frame is the probability of each of its classes.",
    "labels": (
        "The sigmoid of each logit is the probability of its label, by itself; those of 0.5 or more"
        " are chosen."
    ),
    "number": (
        "The logit is the number in standard deviations of the training numbers: the prediction is"
        " {offset:.9g} + {scale:.9g} times it (`offset` and `scale` of `network.json`)."
    ),
}


def card(
    run: Run,
    facts: dict[str, Any],
    status: dict[str, Any],
    rows: Sequence[Any],
    score: float | None,
    split: str,
    num_examples: int,
) -> str:
    """The card as Markdown.

    Args:
      run: the trained run.
      facts: see `description.describe`.
      status: the run's `status.json`.
      rows: of the check, `artefacts.Checked`; empty where there was none.
      score: of JAX on the split; None without a check.
      split, num_examples: what was checked.
    """
    is_reader, scoring = facts["kind"] == "reader", scoring_of(run)
    window = facts.get("window", 0)
    # The check reads first windows, which is not what the split is measured by.
    whole = _of_training(run, status, scoring.metric, split) if window and rows else score
    text = [
        *_metadata(run, scoring.metric, is_reader, whole, split),
        "",
        *introduction(run, facts, status),
    ]
    if rows:
        text += [*table(rows, scoring, score or 0.0, split, num_examples, window), ""]
    text += ["## In Python", ""]
    for number, block in enumerate(code(facts)):
        if number:
            text += [f"The same, a few {facts['steps']} at a time:", ""]
        text += ["```python", block.rstrip(), "```", ""]
    return "\n".join(text)


def _of_training(run: Run, status: dict[str, Any], metric: str, split: str) -> float | None:
    """A metric of whole clips at the end of a training; None where it has none."""
    metrics = status.get("metrics", {}).get(split, {})
    each = metrics.get("each", {}).get(metric)
    value = metrics.get(metric) if each is None else each[run.seed - run.settings.seed]
    return None if value is None else float(value)


def name_of(run: Run) -> str:
    """What a card calls a network."""
    return f"{run.workdir.name}: {run.settings.model.sequence}, {run.settings.model.cell}"


def introduction(run: Run, facts: dict[str, Any], status: dict[str, Any]) -> list[str]:
    """Lines on what the network is for, its inputs and the figures of its training."""
    is_reader = facts["kind"] == "reader"
    version = read_record(run.workdir / ENVIRONMENT, {"seqvision": str})["seqvision"]
    text = [f"# {name_of(run)}", ""]
    kind = "Reads lines of writing" if is_reader else _WHAT[facts["target"]]
    by = f"Trained by seqvision {version}"
    if (run.workdir / IMPORTED).exists():
        library = read_record(run.workdir / IMPORTED, {"kind": str})["kind"]
        then = f", then by seqvision {version}" if run.step else ""
        by = f"Trained in {library}{then}"
    text += [
        f"{kind}. {by} on {run.data.name} ({run.data.version}), step"
        f" {run.step}, seed {run.seed}; `config.json` is the config of the run.",
        "",
        "Inputs are uint8, 0 to 255, which the network divides by 255:"
        f" {_shape_text(facts)}. {_background_text(facts)} `network.json` has all names, shapes"
        " and classes or symbols.",
        "",
        *_of_values(facts, run.data.tones),
        *(_of_reader(facts) if is_reader else _of_classifier(facts)),
    ]
    for name_of_split, metrics in status.get("metrics", {}).items():
        figures = ", ".join(
            f"{key} {value:g}" for key, value in metrics.items() if isinstance(value, int | float)
        )
        text += [f"Of the training (`status.json`), {name_of_split}: {figures}.", ""]
    return text


def table(
    rows: Sequence[Any],
    scoring: Scoring,
    score: float,
    split: str,
    num_examples: int,
    window: int = 0,
) -> list[str]:
    """The check as lines of a Markdown table; `window`: of how many frames, 0 for none."""
    whose, note = f"the {num_examples} examples", ""
    if window:
        whose = f"the first windows, of {window} frames at most, of {whose}"
        note = " That is not the metric of whole clips, which takes all their windows."
    lines = [
        f"Checked by onnxruntime on {whose} of the {split} split, where JAX has"
        f" {scoring.metric} {scoring.text(score)}.{note} Times are medians on this machine's"
        " CPU; of a step, of one step of each input.",
        "",
        f"| file | bytes | largest difference of logits | answers that differ | {scoring.metric} |"
        " ms, batch 1 | ms, batch 128 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, num_bytes, found, seconds in rows:
        times = " | ".join(f"{1000 * one:.3f}" for one in seconds)
        beside = f"{found.difference:.1e} | {found.num_differing} | {scoring.text(found.score)}"
        lines.append(f"| {name} | {num_bytes:,} | {beside} | {times} |")
    return lines


def _metadata(run: Run, metric: str, is_reader: bool, score: float | None, split: str) -> list[str]:
    """YAML between two lines of dashes; strings as in JSON, which is YAML too."""
    task = "image-to-text" if is_reader else "image-classification"
    task = "other" if run.data.targets.kind == "number" else task
    tags = f"tags: [seqvision, {run.settings.model.cell}, onnx]"
    lines = ["---", "library_name: onnx", f"pipeline_tag: {task}", tags]
    if score is not None:
        lines += [
            "model-index:",
            f"- name: {json.dumps(name_of(run))}",
            "  results:",
            f"  - task: {{type: {task}}}",
            f"    dataset: {{type: {json.dumps(run.data.name)}, name: {json.dumps(run.data.name)},"
            f" split: {split}}}",
            f"    metrics: [{{type: {metric}, value: {score:.6f}}}]",
        ]
    return [*lines, "---"]


def _shape_text(facts: dict[str, Any]) -> str:
    names = ["height", "width", "channels"]
    shape = facts["inputs"]["shape"]
    if len(shape) == 4:
        names = ["frames", *names]
    sizes = [f"{name} {size}" for name, size in zip(names, shape, strict=True)]
    if facts["kind"] == "reader":
        sizes[1] = "any number of columns"
    return ", ".join(sizes)


def _of_values(facts: dict[str, Any], tones: Tones) -> list[str]:
    """How values of more than 8 bits become bytes."""
    if not tones.ranges:
        return []
    recipe = tones.recipe.replace(FORMULA, f"`{FORMULA}`")
    text = (
        f"It was trained on values of more than 8 bits ({'; '.join(tones.kinds) or 'deep pictures'}"
        f"). Bring yours to bytes in the same way: a value v becomes {recipe}; NaN and"
        " padding are low (`inputs` of `network.json` has `ranges` and `formula`)."
    )
    if facts["inputs"]["inverted"]:
        text += " Of MONOCHROME1, take 255 minus that."
    return [text, ""]


def _background_text(facts: dict[str, Any]) -> str:
    background = facts["inputs"]["background"]
    if background == "mixed":
        return "Light and dark are as in the training images."
    ink = "light ink on " if facts["kind"] == "reader" and background == "dark" else ""
    return f"The network wants to see {ink}a {background} background."


def _of_reader(facts: dict[str, Any]) -> list[str]:
    """How logits become a text, and how a line ends."""
    delay = facts["delay"]
    text = [
        "Of the logits of a column, 0 is that of the blank, which is no letter, and k that of"
        " `symbols[k - 1]`. Of the largest one in each column, repeats are left out, then blanks;"
        " what is left is the text, from left to right on the paper.",
        "",
    ]
    if not delay:
        return text
    text[0] += (
        f" A letter may come up to {delay} columns (`delay`) after its ink: behind the end of a"
        " line the network reads as many empty ones. `network.onnx` adds them itself, so that n"
        f" columns give logits for n + {delay}."
    )
    if facts["steps"]:
        text[0] += " `step.onnx` has to be given them; without them the last letters are lost."
    return text


def _of_classifier(facts: dict[str, Any]) -> list[str]:
    """What the logits mean, and what of longer clips is read at once."""
    meaning = [_OUTPUTS[facts["target"]].format(**facts), ""]
    if "window" not in facts:
        return meaning
    window, stride = facts["window"], facts["window_stride"]
    text = (
        f"The network was trained on windows of {window} frames. A longer clip is cut into windows"
        f" that begin every {stride} frames; each is read for itself, and its answer is the mean of"
        f" {'theirs' if facts['target'] == 'number' else 'their probabilities'}"
        f"{', frame by frame' if facts['target'] == 'steps' else ''}."
    )
    if facts["steps"]:
        text += f" A stream ends after {window} frames: then its memory starts anew."
    return [*meaning, text, ""]
