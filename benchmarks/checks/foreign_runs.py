"""Tiny runs that foreign files are given to, and copies of them with foreign records."""

import contextlib
import dataclasses
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from benchmarks.checks.foreign_cases import LINE_HEIGHT, SIDE, TEXTS, Case, drawn, mutations
from benchmarks.checks.foreign_pictures import saved
from benchmarks.checks.foreign_uses import Outcome, judged, outcome_of, wrong_input
from configs import default
from seqvision import Predictor, StreamReader, Transcriber
from seqvision.config.durations import Duration
from seqvision.data.from_config import load_dataset
from seqvision.inference.inputs import check_pattern, find_inputs, read_lines
from seqvision.read import _list
from seqvision.runs.checkpoint import Checkpoints
from seqvision.runs.compatibility import check_same_config, read_settings
from seqvision.runs.records import read_metrics
from seqvision.runs.result import finished_result
from seqvision.runs.resume import restore
from seqvision.runs.saved_run import load_run
from seqvision.train import train_and_evaluate
from seqvision.training.from_config import create_dispatcher, create_training

_FIELDS: dict[str, Any] = {
    "duration": "3 steps",
    "log_every": "1 steps",
    "checkpoint.every": "never",
    "evaluate_every": "never",
    "data.batch_size": 4,
    "data.eval_batch_size": 8,
    "data.test_fraction": 0.0,
    "model.hidden_size": 4,
    "model.recurrent_init": "identity",
}
_RECORDS = ("config.json", "environment.json", "status.json", "metrics.jsonl")
_OF_TRAINING = ("status.json", "metrics.jsonl")
_JSON = (b"", b"null", b"[]", b"{}", b'"a"', b"1", b"NaN", b"[" * 5000, b"{}{}", b"\xff\xfe{\0}\0",
         b"\xef\xbb\xbf{}", b'{"status": 3}', b'{"data": []}', bytes(500))  # fmt: skip


class Runs:
    """An image classifier, a clip classifier and a line reader of a few steps, in a folder."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(0)
        self.folder = folder
        shapes: dict[str, tuple[int, ...]] = {
            "picture": (24, SIDE, SIDE),
            "clip": (24, 4, SIDE, SIDE),
        }
        for use, shape in shapes.items():
            path = folder / f"{use}.npz"
            np.savez(path, images=rng.integers(0, 256, shape, np.uint8), labels=np.arange(24) % 3)
            fields: dict[str, Any] = {"data.source": "npz", "data.path": str(path)}
            if use == "clip":
                fields |= {"model.sequence": "frames", "data.kind": "clips"}
                fields |= {"model.cnn_channels": (2,)}
            self._train(use, fields)
        (folder / "lines/images").mkdir(parents=True)
        for number, text in enumerate(TEXTS):
            image = saved(Image.fromarray(255 - drawn(text)))
            (folder / f"lines/images/{number}.png").write_bytes(image)
        rows = "".join(f"{number}.png\t{text}\n" for number, text in enumerate(TEXTS))
        (folder / "lines/labels.train.tsv").write_text(rows)
        fields = {"data.source": "lines", "data.path": str(folder / "lines")}
        fields |= {"data.height": LINE_HEIGHT, "data.validation_fraction": 0.0}
        fields |= {"model.sequence": "columns", "model.readout": "per_step", "reading.delay": 4}
        self._train("line", fields)
        self.picture = Predictor.from_run(folder / "runs/picture")
        self.clip = Predictor.from_run(folder / "runs/clip")
        # As with --to_scale=false: what is compared is what was read of a file.
        line = load_run(folder / "runs/line")
        self.line = Transcriber(
            dataclasses.replace(line, data=dataclasses.replace(line.data, looks=None))
        )
        self.live = StreamReader.from_run(folder / "runs/line")
        self._goes_on = _OneStep(folder / "runs/picture")

    def _train(self, use: str, fields: dict[str, Any]) -> None:
        config = default.get_config()
        config.update_from_flattened_dict(_FIELDS | fields)
        with contextlib.redirect_stdout(io.StringIO()):
            train_and_evaluate(config, self.folder / "runs" / use)

    def predict(self, case: Case, folder: Path) -> Outcome:
        """`--mode=predict` of the run that reads such files."""
        path, reader = (
            case.write(folder),
            getattr(self, "line" if case.use == "line" else "picture"),
        )
        reader = self.clip if case.use == "clip" else reader

        def action() -> str:
            check_pattern(str(path))
            paths = find_inputs(str(path), reader.data.of_clips)
            given = list(reader.read_files(paths, "auto"))
            if wrong := wrong_input(case, path, given):
                return wrong
            predicted = list(reader([one.array for one in given]))
            return "" if len(predicted) == len(given) and _is_whole(predicted) else "no prediction"

        return judged(case, outcome_of(action))

    def read(self, case: Case, folder: Path) -> Outcome:
        """`--mode=read` of a line: its text is that of reading it as a whole."""
        path = case.write(folder)

        def action() -> str:
            check_pattern(str(path))
            given = list(read_lines(find_inputs(str(path), False), self.live.height, "auto"))
            if wrong := wrong_input(case, path, given):
                return wrong
            [line] = [one.array for one in given if one.array is not None]
            [whole] = self.line([line])
            text = _list(self.live, line[..., 0])
            return "" if text == whole["text"] else f"'{text}', not '{whole['text']}'"

        return judged(case, outcome_of(action))

    # --- records ---

    def record_cases(self, rng: np.random.Generator) -> Iterator[tuple[str, Path, bytes]]:
        """Kind, file and content of records of the image classifier, and of its checkpoints."""
        workdir = self.folder / "runs/picture"
        for name in _RECORDS:
            content = (workdir / name).read_bytes()
            for _ in range(2):
                for _, changed in mutations(content, rng):
                    yield "records of runs", Path(name), changed
            for changed in _JSON:
                yield "records of runs", Path(name), changed
        for file in sorted((workdir / "checkpoints").rglob("*")):
            if file.is_file() and (content := file.read_bytes()):
                found = list(mutations(content, rng))
                for number in rng.choice(len(found), 3, replace=False):
                    yield "checkpoints", file.relative_to(workdir), found[number][1]

    def use_record(self, file: Path, content: bytes, place: Path) -> dict[str, Outcome]:
        """Predicts with, and resumes, a copy of the run with another content of a file.

        Prediction opens neither `status.json` nor `metrics.jsonl`, so it is not tried with these.
        """
        workdir = place / "run"
        shutil.copytree(self.folder / "runs/picture", workdir)
        (workdir / file).write_bytes(content)
        images = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 1), np.uint8)
        is_shape = file.name in ("config.json", "environment.json") and _parses(content)

        def predicted() -> str:
            reader = Predictor.from_run(workdir)
            try:
                found = [one["probabilities"] for one in reader(images)]
            except ValueError:
                if is_shape:  # It names another shape of images.
                    return ""
                raise
            # Of class 0, 1 and so on.
            expected = [one["probabilities"] for one in self.picture(images)]
            same = is_shape or np.allclose(found, expected, rtol=0, atol=1e-6)
            return "" if same else "other probabilities"

        uses = {"predict": predicted, "training": lambda: self._goes_on.wrong(workdir)}
        if file.name in _OF_TRAINING:
            del uses["predict"]
        return {use: outcome_of(action) for use, action in uses.items()}


class _OneStep:
    """What a run does when it is resumed: it reads all its records, and takes one more step."""

    def __init__(self, workdir: Path) -> None:
        self._settings = read_settings(workdir)
        # Beyond its end: a step after the last one.
        duration = Duration.parse("4 steps")
        longer = dataclasses.replace(self._settings, duration=duration)
        with contextlib.redirect_stdout(io.StringIO()):
            self._data = load_dataset(longer, lambda _: None)
            self._setup = create_training(longer, self._data)
            self._dispatcher = create_dispatcher(longer, self._setup, self._data)
            self._expected = self._weights(workdir)

    def _weights(self, workdir: Path) -> list[np.ndarray]:
        with Checkpoints(workdir, self._settings.checkpoint.keep, lambda _: None) as checkpoints:
            restored = restore(checkpoints, workdir, self._data, self._setup.abstract_state())
        if restored is None:
            return []
        state, _ = self._dispatcher.advance(restored[0], restored[0].num_steps)
        return [np.asarray(array) for array in jax.tree.leaves(state.params)]

    def wrong(self, workdir: Path) -> str:
        """What is wrong with a copy of the run; "" where nothing is."""
        check_same_config(self._settings, workdir)
        finished_result(workdir)
        read_metrics(workdir)
        found = self._weights(workdir)
        if not found:
            return "no checkpoint is found"
        same = all(map(np.array_equal, found, self._expected))
        return "" if same else "other weights after one more step"


def _is_whole(predicted: list[Any]) -> bool:
    return all(
        np.isfinite(one.get("probabilities", 0.0)).all() and ("text" in one or "classes" in one)
        for one in predicted
    )


def _parses(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False
