"""Code of the card: Python that runs an exported network with what a user has, onnxruntime."""

from typing import Any

_BEGIN = """\
import json, pathlib, numpy as np, onnxruntime

facts = json.loads(pathlib.Path("network.json").read_text(encoding="utf-8"))
inputs = np.zeros({shape}, np.uint8)  # Yours: {what}.
network = onnxruntime.InferenceSession("network.onnx")
{call}
"""

_ALONE = """\
logits = network.run(None, {"inputs": inputs})[0][0]"""

_WITH_LENGTHS = """\
lengths = np.array([inputs.shape[{axis}]], np.int32)
logits = network.run(None, {{"inputs": inputs, "lengths": lengths}})[0][0]"""

_START = """\
step = onnxruntime.InferenceSession("step.onnx")
memory = {p["name"]: np.full((1, *p["shape"]), p["start"], np.float32) for p in facts["memory"]}
"""

_LOOP = """\
for at in range(0, {name}.shape[{axis}], 8):  # Any number at a time, as they arrive.
    piece = {name}[{place}at : at + 8]
    lengths = np.array([piece.shape[{axis}]], np.int32)
    logits, *after = step.run(None, {{"inputs": piece, "lengths": lengths, **memory}})
    memory = dict(zip(memory, after))
"""

_ENDING = """\
ending = np.zeros(({one}, facts["delay"], {channels}), np.uint8)  # At the end of a line.
columns = np.concatenate([inputs, ending], axis=2)
"""

_TEXT = 'text, before = "", 0\n'

_LETTERS = """\
for k in {logits}.argmax(axis=1).tolist():
    if k not in (0, before):
        text += facts["symbols"][k - 1]
    before = k
"""


_EACH = 'answer = {start}[facts["classes"][k] for k in {logits}.argmax(axis=1)]\n'

_ANSWERS = {
    "class": 'answer = facts["classes"][{logits}.argmax()]\n',
    "labels": """\
probabilities = 1 / (1 + np.exp(-{logits}))
answer = [name for name, p in zip(facts["classes"], probabilities) if p >= 0.5]
""",
    "number": 'answer = float(facts["offset"] + facts["scale"] * {logits}[0])\n',
}


def code(facts: dict[str, Any]) -> list[str]:
    """Blocks of Python, each of which goes on from the one before: the whole network, its step.

    They end with `text` of a reader, or `answer` of a classifier.

    Args:
      facts: see `description.describe`.
    """
    shape, is_reader = facts["inputs"]["shape"], facts["kind"] == "reader"
    call, what = _ALONE, "an image"
    if is_reader or len(shape) == 4:
        call = _WITH_LENGTHS.format(axis=2 if is_reader else 1)
        what = "a line" if is_reader else "a clip"
    begin = _BEGIN.format(shape=(1, *shape), what=what, call=call)
    if is_reader:
        blocks = [begin + _TEXT + _LETTERS.format(logits="logits") + 'print(text.strip(" "))\n']
        return blocks + ([_reader_step(shape)] if facts["steps"] else [])
    if facts["target"] == "steps":
        blocks = [begin + _EACH.format(start="", logits="logits") + "print(answer)\n"]
    else:
        last = "logits[-1]" if facts["readout"] == "per_step" else "logits"
        blocks = [begin + _answer(facts, last)]
    return blocks + ([_classifier_step(facts, shape[-1])] if facts["steps"] else [])


def _reader_step(shape: list[int]) -> str:
    ending = _ENDING.format(one=f"1, {shape[0]}", channels=shape[2])
    loop = _LOOP.format(name="columns", axis=2, place=":, :, ")
    letters = _LETTERS.format(logits="logits[0]").splitlines()
    inner = "".join(f"    {line}\n" for line in letters)
    return _START + ending + _TEXT + loop + inner + 'print(text.strip(" "))\n'


def _classifier_step(facts: dict[str, Any], channels: int) -> str:
    name = facts["steps"]
    axis = 2 if name == "columns" else 1
    given = f"inputs.reshape(1, -1, {channels})" if name == "pixels" else "inputs"
    loop = _LOOP.format(name=name, axis=axis, place=":, " * axis)
    if facts["target"] == "steps":
        loop += "    " + _EACH.format(start="answer + ", logits="logits[0]")
        return f"{_START}answer, {name} = [], {given}\n{loop}print(answer)\n"
    return f"{_START}{name} = {given}\n{loop}" + _answer(facts, "logits[0, -1]")


def _answer(facts: dict[str, Any], logits: str) -> str:
    return _ANSWERS[facts["target"]].format(logits=logits) + "print(answer)\n"
