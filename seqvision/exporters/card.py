"""The card of an export: `README.md`, with the metadata that model hubs read."""

import json
from collections.abc import Sequence
from typing import Any

from seqvision import __version__
from seqvision.exporters.artefacts import Checked
from seqvision.runs.saved_run import Run

_PYTHON = {
    False: """\
import numpy as np, onnxruntime

session = onnxruntime.InferenceSession("network.onnx")
inputs = np.zeros({shape}, np.uint8)  # Yours.
{call}
""",
    True: """\
import json, numpy as np, onnxruntime

session = onnxruntime.InferenceSession("step.onnx")
parts = json.load(open("network.json"))["memory"]
memory = {{p["name"]: np.full((1, *p["shape"]), p["start"], np.float32) for p in parts}}
while True:
    inputs = np.zeros({step}, np.uint8)  # The next {name}, any number.
    lengths = np.array([inputs.shape[{axis}]], np.int32)
    logits, *after = session.run(None, {{"inputs": inputs, "lengths": lengths, **memory}})
    memory = dict(zip(memory, after))
""",
}


def card(
    run: Run,
    facts: dict[str, Any],
    status: dict[str, Any],
    rows: Sequence[Checked],
    score: float | None,
    split: str,
    num_examples: int,
) -> str:
    """The card as Markdown.

    Args:
      run: the trained run.
      facts: see `description.describe`.
      status: the run's `status.json`.
      rows: of the check; empty where there was none.
      score: of JAX on the split; None without a check.
      split, num_examples: what was checked.
    """
    is_reader = facts["kind"] == "reader"
    metric = "cer" if is_reader else "accuracy"
    name = f"{run.workdir.name}: {run.settings.model.sequence}, {run.settings.model.cell}"
    text = [*_metadata(run, name, metric, is_reader, score, split), "", f"# {name}", ""]
    kind = "Reads lines of writing" if is_reader else "Classifies images or clips"
    text += [
        f"{kind}. Trained by seqvision {__version__} on {run.data.name} ({run.data.version}), step"
        f" {run.step}, seed {run.seed}; `config.json` is the config of the run.",
        "",
        "Inputs are uint8, 0 to 255, which the network divides by 255:"
        f" {_shape_text(facts)}. Background: {run.data.background}. `network.json` has all names,"
        " shapes and classes or symbols.",
        "",
    ]
    for name_of_split, metrics in status.get("metrics", {}).items():
        figures = ", ".join(
            f"{key} {value:g}" for key, value in metrics.items() if isinstance(value, int | float)
        )
        text += [f"Of the training (`status.json`), {name_of_split}: {figures}.", ""]
    if rows:
        text += [*table(rows, metric, score or 0.0, split, num_examples), ""]
    text += ["## In Python", "", *_code(facts), ""]
    return "\n".join(text)


def table(
    rows: Sequence[Checked], metric: str, score: float, split: str, num_examples: int
) -> list[str]:
    """The check as lines of a Markdown table."""
    lines = [
        f"Checked by onnxruntime on the {num_examples} examples of the {split} split, where JAX has"
        f" {metric} {score:.2%}. Times are medians on this machine's CPU; of a step, of one step of"
        " each input.",
        "",
        f"| file | bytes | largest difference of logits | answers that differ | {metric} |"
        " ms, batch 1 | ms, batch 128 |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, num_bytes, found, seconds in rows:
        times = " | ".join(f"{1000 * one:.3f}" for one in seconds)
        beside = f"{found.difference:.1e} | {found.num_differing} | {found.score:.2%}"
        lines.append(f"| {name} | {num_bytes:,} | {beside} | {times} |")
    return lines


def _metadata(
    run: Run, name: str, metric: str, is_reader: bool, score: float | None, split: str
) -> list[str]:
    """YAML between two lines of dashes; strings as in JSON, which is YAML too."""
    task = "image-to-text" if is_reader else "image-classification"
    lines = ["---", "library_name: onnx", f"pipeline_tag: {task}", "tags: [seqvision, lstm, onnx]"]
    if score is not None:
        lines += [
            "model-index:",
            f"- name: {json.dumps(name)}",
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


def _code(facts: dict[str, Any]) -> list[str]:
    shape = facts["inputs"]["shape"]
    call = 'logits = session.run(None, {"inputs": inputs})[0]'
    if facts["kind"] == "reader" or len(shape) == 4:
        axis = 2 if facts["kind"] == "reader" else 1
        call = f"lengths = np.array([inputs.shape[{axis}]], np.int32)\n"
        call += 'logits = session.run(None, {"inputs": inputs, "lengths": lengths})[0]'
    code = [_PYTHON[False].format(shape=(1, *shape), call=call)]
    if facts["steps"]:
        place = {"rows": 0, "frames": 0, "pixels": 0, "columns": 1}[facts["steps"]]
        step = (1, 1, shape[-1]) if facts["steps"] == "pixels" else (1, *shape)
        step = tuple(1 if axis == 1 + place else size for axis, size in enumerate(step))
        code.append(_PYTHON[True].format(step=step, name=facts["steps"], axis=1 + place))
    return [line for block in code for line in ("```python", block.rstrip(), "```", "")]
