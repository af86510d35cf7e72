"""Short runs of every shipped config, and the bits that they end with.

    python -m benchmarks.checks.same_bits --save=bits.json              # of this checkout
    python -m benchmarks.checks.same_bits --against=bits.json           # has anything changed?
    python -m benchmarks.checks.same_bits --checkout=../other --against=bits.json

Each case is a command line in a process of its own; a case's bits are its rows of `metrics.jsonl`
without the seconds, the SHA-256 of the weights of its newest checkpoint, and of the files that it
wrote. They are comparable on one machine, with the same versions.
"""

import dataclasses
import functools
import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import options
from benchmarks.checks.same_bits_cases import EVALUATED, PREDICTED, RESUMED, SHORT, TRAINED
from benchmarks.progress import Progress

_NUM_INPUTS = 12


@dataclasses.dataclass(frozen=True)
class Runner:
    """Runs cases; each method returns the bits of one.

    Attributes:
      checkout: whose main.py runs.
      work: for data and workdirs, which are kept.
    """

    checkout: Path
    work: Path

    def train(self, name: str) -> Any:
        workdir = self._workdir(name)
        shutil.rmtree(workdir, ignore_errors=True)
        self._run([*self._flags(name), *self._without_page(), f"--workdir={workdir}"])
        return run_bits(workdir)

    def resume(self) -> Any:
        """Trains on from the middle, as after a kill."""
        workdir = self.work / "resumed"
        copy_until(self._trained(RESUMED), workdir, step=3)
        self._run([*self._flags(RESUMED), *self._without_page(), f"--workdir={workdir}"])
        return run_bits(workdir)

    def train_in_two_processes(self) -> Any:
        workdir = self.work / "processes"
        shutil.rmtree(workdir, ignore_errors=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        flags = [*self._flags(RESUMED), f"--workdir={workdir}", "--host_devices=1"]
        flags += ["--num_processes=2", f"--coordinator_address={address}"]
        processes = [self._start([*flags, f"--process_id={number}"]) for number in range(2)]
        for process in processes:
            _wait(process, flags)
        return run_bits(workdir)

    def evaluate(self, name: str) -> Any:
        output = self.work / "outputs.jsonl"
        flags = [*self._flags(name), f"--workdir={self._trained(name)}", "--mode=evaluate"]
        flags += ["--seed=1"] if name == "seeds" else []
        printed = self._run([*flags, f"--output={output}"])
        # Figures alone: their words may change.
        words = printed.split()
        figures = [word for word in words if word.strip("%").replace(".", "", 1).isdigit()]
        return {"figures": figures, "rows": _sha256(output.read_bytes())}

    def predict(self, name: str) -> Any:
        output, inputs = self.work / "predictions.jsonl", self.work / "inputs"
        write_inputs(self.checkout, inputs)
        flags = ["--config=configs/row_lstm.py", f"--workdir={self._trained(name)}"]
        flags += ["--mode=predict", f"--inputs={inputs}/*.png", f"--output={output}"]
        self._run(flags)
        rows = output.read_bytes().replace(str(inputs).encode(), b"inputs")
        return _sha256(re.sub(rb', "doubtful": (null|"[^"]*")', b"", rows))  # Not in 0.2.0.

    def _workdir(self, name: str) -> Path:
        for character, plain in {"/": "-", ":": "-", " ": "_", ",": ""}.items():
            name = name.replace(character, plain)
        return self.work / name

    def _trained(self, name: str) -> Path:
        """The workdir of a case, which is trained if it was not."""
        if not self._workdir(name).exists():
            self.train(name)
        return self._workdir(name)

    def _flags(self, name: str) -> list[str]:
        config, fields = TRAINED[name]
        data = {"data.cache_dir": self.work / "cache", "data.dir": self.work / "tfds"}
        values = SHORT | data | fields
        return [f"--config=configs/{config}", *(f"--config.{k}={v}" for k, v in values.items())]

    def _without_page(self) -> list[str]:
        """A flag that a checkout of before does not know, nor need."""
        known = (self.checkout / "seqvision/config/flags.py").read_text()
        return ["--report=false"] if '"report"' in known else []

    def _run(self, flags: Sequence[str]) -> str:
        """The standard output of main.py."""
        return _wait(self._start(flags), flags)

    def _start(self, flags: Sequence[str]) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "PYTHONPATH")}
        return subprocess.Popen(
            [sys.executable, "main.py", *flags],
            cwd=self.checkout,
            env=kept | {"JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def cases(runner: Runner, only: str) -> dict[str, Callable[[], Any]]:
    """Functions that return the bits of each case, by its name.

    Args:
      runner: runs them.
      only: parts of their names, comma-separated; all cases where empty.
    """
    train, evaluate, predict = runner.train, runner.evaluate, runner.predict
    found: dict[str, Callable[[], Any]]
    found = {name: functools.partial(train, name) for name in TRAINED}
    found |= {"resumed": runner.resume, "processes": runner.train_in_two_processes}
    found |= {f"evaluate {name}": functools.partial(evaluate, name) for name in EVALUATED}
    found |= {f"predict {name}": functools.partial(predict, name) for name in PREDICTED}
    parts = [part for part in only.split(",") if part]
    return {
        name: run for name, run in found.items() if not parts or any(part in name for part in parts)
    }


def copy_until(source: Path, target: Path, step: int) -> None:
    """Copies a run as if it had been killed after a step."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    for folder in (target / "checkpoints").iterdir():
        if folder.name.isdigit() and int(folder.name) > step:
            shutil.rmtree(folder)
    status = json.loads((target / "status.json").read_text())
    (target / "status.json").write_text(json.dumps({"status": "running", "step": status["step"]}))


def write_inputs(checkout: Path, folder: Path) -> None:
    """Some test images of MNIST with a border, as PNG files."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    path = checkout / "seqvision/data/mnist/t10k-images-idx3-ubyte.gz"
    images = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=16)
    for number, image in enumerate(images.reshape(-1, 28, 28)[:_NUM_INPUTS]):
        Image.fromarray(np.pad(image, 2)).save(folder / f"{number:02}.png")


def run_bits(workdir: Path) -> dict[str, Any]:
    rows = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["seconds"]
    return {"metrics": rows, "weights": weights_sha256(workdir)}


def weights_sha256(workdir: Path) -> str:
    """Of all arrays of the newest checkpoint, read by orbax alone."""
    import jax
    import orbax.checkpoint as ocp

    folders = (workdir / "checkpoints").iterdir()
    newest = max((folder for folder in folders if folder.name.isdigit()), key=lambda f: int(f.name))
    path = (newest / "state").absolute()
    cpu = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=cpu),
        ocp.StandardCheckpointHandler().metadata(path),
    )
    state = ocp.StandardCheckpointer().restore(path, abstract)
    parts: list[bytes] = []
    for place, leaf in jax.tree_util.tree_leaves_with_path(state):
        array = np.asarray(leaf)
        parts += [jax.tree_util.keystr(place).encode(), str(array.dtype).encode(), array.tobytes()]
    return _sha256(*parts)


def main(arguments: Sequence[str]) -> int:
    parser = options.Parser("benchmarks.checks.same_bits", __doc__, results=False)
    add = parser.add_argument
    add("--checkout", type=Path, default=Path(), help="whose main.py runs; by default this one")
    add("--work", type=Path, help="a folder for data and runs; by default a temporary one")
    add("--save", type=Path, help="a file for the bits")
    add("--against", type=Path, help="a file of bits to compare with")
    add("--only", default="", help="cases whose name contains one of these, comma-separated")
    chosen = parser.parse_args(arguments)
    work = chosen.work or Path(tempfile.mkdtemp(prefix="seqvision-bits-"))
    work.mkdir(parents=True, exist_ok=True)
    expected = json.loads(chosen.against.read_text()) if chosen.against else {}
    chosen_cases = cases(Runner(chosen.checkout.absolute(), work.absolute()), chosen.only)
    found: dict[str, Any] = {}
    num_differing = 0
    progress = Progress(len(chosen_cases))
    for name, run in chosen_cases.items():
        progress.show(name)
        found[name] = run()
        progress.advance()
        same = not expected or expected.get(name) == found[name]
        print(f"{'same ' if same else 'OTHER'} {name}", flush=True)
        if not same:
            num_differing += 1
            print(f"  expected {json.dumps(expected.get(name))[:600]}")
            print(f"  found    {json.dumps(found[name])[:600]}")
    if chosen.save:
        chosen.save.write_text(json.dumps(found, indent=1) + "\n")
    print(f"{len(found)} cases, {num_differing} differ")
    return int(num_differing > 0)


def _wait(process: subprocess.Popen[str], flags: Sequence[str]) -> str:
    output, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{list(flags)}: exit code {process.returncode}\n{output}{errors}")
    return output


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(parts)).hexdigest()


if __name__ == "__main__":
    sys.exit(options.run(main))
