"""The benchmarks' harness, with contenders made up here."""

import dataclasses
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optax
import pytest

from benchmarks import lstm, machine, options, time_to_accuracy
from benchmarks.cases import CASE_SETS, NUM_CLASSES, Case, case_set
from benchmarks.comparison import Measurement, compare, ratio
from benchmarks.inputs import make_batches, make_bytes
from benchmarks.peers.mnist_files import read_split
from benchmarks.peers.recipe import Recipe
from benchmarks.peers.start import gate_biases, recurrent_kernels
from benchmarks.process import MissingLibraryError, WorkerError, WorkerProcess
from benchmarks.report import to_json, to_markdown
from benchmarks.shared_recipe import recipe_of
from benchmarks.timed_run import TimedRun, accuracy_in, follow
from benchmarks.worker import serve
from configs import cnn_lstm, frame_lstm
from seqvision.data.sources.idx import read_idx
from seqvision.errors import UserError
from seqvision.training.optimizer import create_schedule

CASE = Case("lstm", "training", 128, 28, 28, 64, "float32")
FACTS: dict[str, Any] = {
    "name": "made-up",
    "command": "python -m benchmarks.lstm",
    "date": "2000-01-01",
    "commit": "0123",
    "machine": {"cpu": "a CPU", "cores": 2, "memory": "4.0 GiB", "gpus": [], "load_average": 0.0},
    "rounds": 3,
    "seconds": 1.0,
    "contenders": {"seqvision": {"jax": "0.0"}, "peer": {"torch": "0.0"}},
    "missing": {"keras": "No module named 'keras'"},
}

# Answers `prepare`, then each `measure` with the next of the times it was given, and writes down
# whose turn it was. A time of "crash" ends it, "fail" is an answer that it could not.
FAKE = """
import json, sys
name, diary, *times = sys.argv[1:]
print(json.dumps({"versions": {"fake": "1"}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    with open(diary, "a") as file:
        file.write(f"{name} {request['do']}\\n")
    answer = {}
    if request["do"] == "prepare":
        answer = {"setting": "only", "trials_ms": {"only": [1.0]}}
    if request["do"] == "measure":
        ms = times.pop(0)
        if ms == "crash":
            sys.exit("out of memory")
        answer = {"error": "no luck"} if ms == "fail" else {"ms": float(ms), "steps": 3}
    print(json.dumps(answer), flush=True)
"""

Fakes = Callable[..., list[WorkerProcess]]


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Fakes]:
    """Starts made-up contenders: each has a name and its times."""
    workers: list[WorkerProcess] = []

    def start(**times: list[object]) -> list[WorkerProcess]:
        for name, ms in times.items():
            arguments = [name, str(tmp_path / "diary"), *map(str, ms)]
            worker = WorkerProcess(name, [sys.executable, "-S", "-c", FAKE, *arguments], {})
            assert worker.start() == {"fake": "1"}
            workers.append(worker)
        return workers

    yield start
    for worker in workers:
        worker.close()


def test_contenders_take_turns(fakes: Fakes, tmp_path: Path) -> None:
    workers = fakes(a=[3, 1, 2], b=[10, 40, 30])
    turns: list[str] = []
    results = compare(workers, CASE, rounds=3, seconds=0.1, tell=turns.append)
    expected = ["a prepare", "b prepare", *["a measure", "b measure"] * 3, "a release", "b release"]
    assert (tmp_path / "diary").read_text().splitlines() == expected
    assert turns[2:4] == ["a: round 1/3", "b: round 1/3"]
    assert results["a"].ms == [3, 1, 2] and results["a"].median == 2
    assert results["b"].median == 30 and results["b"].steps == [3, 3, 3]
    assert ratio(results["b"], results["a"]) == 15


@pytest.mark.parametrize(
    ("trouble", "words"),
    [("crash", "ended with exit code 1: out of memory"), ("fail", "no luck")],
)
def test_a_failing_contender_is_named_and_the_others_go_on(
    fakes: Fakes, trouble: str, words: str
) -> None:
    workers = fakes(seqvision=[1, 2, 3], peer=[5, trouble, 6])
    results = compare(workers, CASE, rounds=3, seconds=0.1, tell=lambda turn: None)
    assert results["seqvision"].median == 2
    assert results["peer"].ms == [5] and words in str(results["peer"].error)
    assert results["peer"].median is None and ratio(results["peer"], results["seqvision"]) is None
    markdown = to_markdown(FACTS, [(CASE, results)])
    assert f"`peer`: {results['peer'].error}" in markdown
    # It is there again for the next case.
    again = compare(workers, CASE, rounds=1, seconds=0.1, tell=lambda turn: None)
    assert again["peer"].ms in ([5], [6])


def test_a_missing_library_is_no_crash() -> None:
    code = 'print(\'{"missing": "No module named this"}\')'
    with pytest.raises(MissingLibraryError, match="No module named this"):
        WorkerProcess("peer", [sys.executable, "-S", "-c", code], {}).start()
    with pytest.raises(WorkerError, match="No such file"):
        WorkerProcess("peer", ["/nowhere/python"], {}).start()


def test_markdown_and_json() -> None:
    own = Measurement("many steps", {"many steps": [2.0]}, {}, 1.0, [2.0, 1.0, 4.0], [3, 3, 3])
    trials = {"plain": [9.0, 7.0, 8.0], "fused": [5.0, 5.0, 5.0]}
    peer = Measurement("fused", trials, {"compiled": "no compiler"}, 1.0, [5.0, 6.0, 5.0], [3] * 3)
    results = [(CASE, {"seqvision": own, "peer": peer})]
    markdown = to_markdown(FACTS, results)
    row = "| lstm | training | 64 | 128 | 28 | 28 | 2 (1-4) | 5 (5-6) | 2.50 |"
    assert row in markdown.splitlines()
    assert "`peer`: fused (plain: 8; fused: 5)" in markdown
    assert "`peer`, compiled: no compiler" in markdown
    assert "`keras`: left out: No module named 'keras'" in markdown
    raw = json.loads(to_json(FACTS, results))
    assert raw["cases"][0]["contenders"]["peer"]["ms"] == [5.0, 6.0, 5.0]
    assert raw["cases"][0]["contenders"]["peer"]["trials_ms"] == trials
    assert Case(**raw["cases"][0]["case"]) == CASE


def test_differences_between_contenders_are_said() -> None:
    sentence = "different versions of jax"
    assert sentence not in to_markdown(FACTS, [])
    assert "one single-threaded device per core" in to_markdown(FACTS, [])
    contenders = {"seqvision": {"jax": "2"}, "flax": {"jax": "2"}, "keras": {"jax": "1"}}
    markdown = to_markdown(FACTS | {"contenders": contenders}, [])
    assert f"{sentence}: `seqvision`, `flax` with 2; `keras` with 1." in markdown


def test_memory_is_in_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_field", lambda path, name: "24684084 kB")
    assert machine.describe_machine()["memory"] == "23.5 GiB"
    monkeypatch.setattr(machine, "_field", lambda path, name: "unknown")
    assert machine.describe_machine()["memory"] == "unknown"


class Ticking:
    """A contender of two settings: the clock goes on by that many seconds a step."""

    def __init__(self, clock: list[float], seconds: dict[str, float]) -> None:
        self._clock, self._seconds = clock, seconds

    def versions(self) -> dict[str, str]:
        return {"ticking": "1"}

    def settings(self, case: Case) -> dict[str, Callable[[], Callable[[int], None]]]:
        def builder(seconds: float) -> Callable[[], Callable[[int], None]]:
            def run(num_steps: int) -> None:
                self._clock[0] += num_steps * seconds

            return lambda: run

        def broken() -> Callable[[int], None]:
            raise RuntimeError("no compiler\nat all")

        return {name: builder(s) for name, s in self._seconds.items()} | {"broken": broken}


def test_a_worker_takes_its_fastest_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("benchmarks.contender.time.perf_counter", lambda: clock[0])
    requests = [
        {"do": "measure", "seconds": 1.0},
        {"do": "prepare", "case": dataclasses.asdict(CASE)},
        {"do": "measure", "seconds": 1.0},
        {"do": "measure", "seconds": 0.001},
        {"do": "dance"},
    ]
    answers = io.StringIO()
    contender = Ticking(clock, {"slow": 0.5, "quick": 0.25})
    serve(contender, io.StringIO("\n".join(map(json.dumps, requests))), answers)
    first, early, prepared, measured, short, wrong = map(
        json.loads, answers.getvalue().split("\n")[:-1]
    )
    assert first["versions"]["ticking"] == "1"
    assert "nothing is prepared" in early["error"]
    assert prepared["setting"] == "quick"
    assert prepared["trials_ms"] == {"slow": [500.0] * 3, "quick": [250.0] * 3}
    assert prepared["failed"] == {"broken": "RuntimeError: no compiler"}
    assert measured == {"ms": 250.0, "steps": 4}
    assert short == {"ms": 250.0, "steps": 3}
    assert "dance" in wrong["error"]


@pytest.mark.parametrize("name", CASE_SETS)
def test_every_case_has_data(name: str) -> None:
    cases = case_set(name, "float32")
    assert len({case.name for case in cases}) == len(cases)
    for case in cases:
        small = dataclasses.replace(case, batch_size=2)
        inputs, labels = make_bytes(small)
        batches = make_batches(small)
        assert len(batches) * 2 == len(inputs) == len(labels)
        assert inputs.shape[1:] == case.input_shape and labels.max() < NUM_CLASSES
        assert batches[0][0].max() <= 1 and batches[0][0].size == inputs.size / len(batches)


def test_the_networks_are_those_of_the_configs() -> None:
    cnn, frames = case_set("networks", "float32")
    for case, config in ((cnn, cnn_lstm.get_config()), (frames, frame_lstm.get_config())):
        assert case.batch_size == config.data.batch_size
        assert case.hidden_size == config.model.hidden_size
        assert config.model.cnn_channels == (32, 64)
    assert frames.num_steps == config.clips.num_frames
    assert frames.num_features == config.clips.height == config.clips.width


@pytest.mark.parametrize(
    ("main", "argument", "words"),
    [
        (lstm.main, "--dtype=float16", "--dtype"),
        (lstm.main, "--only=[", "regular expression"),
        (lstm.main, "--only=H=7", "picks none"),
        (lstm.main, "--contenders=pytorch", "'pytorch' is not known"),
        (lstm.main, "--rounds=0", "--rounds"),
        (lstm.main, "--name=a/b", "is a path"),
        (lstm.main, "--nonsense", "--nonsense"),
        (time_to_accuracy.main, "--seeds=a", "--seeds"),
        (time_to_accuracy.main, "--config=configs/nothing.py", "there is no file"),
        (time_to_accuracy.main, "--config=configs/row_lstm.py:book", "one_cycle"),
    ],
)
def test_mistakes_are_one_line(main: Callable[..., int], argument: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        main([argument])
    assert "\n" not in str(caught.value)


def test_results_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "RESULTS", tmp_path)
    (tmp_path / "old.json").write_text("{}")
    with pytest.raises(UserError, match="--overwrite"):
        lstm.parse(["--name=old"])
    assert lstm.parse(["--name=old", "--overwrite"]).name == "old"


# --- time to accuracy ---


def test_the_clock_is_read_at_each_accuracy() -> None:
    code = (
        "import time\nprint('hello')\nfor a in (97.0, 98.6, 98.7):\n"
        '  print(\'{"epoch": 1, "accuracy": %s}\' % a, flush=True); time.sleep(0.1)'
    )
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", code], {})
    times = [at for at, _ in run.evaluations]
    assert run.error is None and run.best == 98.7
    assert all(after - before > 0.05 for before, after in itertools.pairwise(times))
    assert run.reached(98.5) == times[1] and run.reached(99.0) is None
    assert run.seconds > times[-1]


def test_a_failing_run_is_a_failure() -> None:
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", "import nothing_of_that_name"], {})
    assert "ModuleNotFoundError" in str(run.error)
    run = TimedRun("peer", 0, "none")
    follow(run, [sys.executable, "-S", "-c", "pass"], {})
    assert run.error == "it said no test accuracy"


def test_main_says_its_accuracy() -> None:
    assert accuracy_in("test accuracy 99.27%, loss 0.0238, count 10000\n") == 99.27
    assert accuracy_in("validation accuracy 99.12%, loss 0.0281, count 5000\n") is None


def test_every_seed_is_in_the_table() -> None:
    runs = [
        TimedRun("torch_usual", 0, "none", [(50.0, 97.0), (60.0, 98.6)], 61.0),
        TimedRun("torch_usual", 1, "none", [(50.0, 97.0)], 51.0),
        TimedRun("torch_usual", 2, "none", [(70.0, 98.7)], 71.0),
        TimedRun("torch_ours", 0, "none", [(50.0, 97.0)], 51.0),
        TimedRun("torch_ours", 1, "none", [(50.0, 98.6)], 51.0),
        TimedRun("torch_ours", 2, "none", error="exit code 1"),
    ]
    facts = FACTS | {"seeds": [0, 1, 2], "target": 98.5, "config": "c.py", "left_out": {"ema": 0.9}}
    markdown = time_to_accuracy.to_markdown(facts, runs)
    lacking = "not reached, best 97.00 %"
    for row in (
        f"| torch_usual | none | 70.0 (2 of 3 reached it) | 60.0 | {lacking} | 70.0 |",
        f"| torch_ours | none | not reached (1 of 3 reached it) | {lacking} | 50.0 "
        "| failed: exit code 1 |",
    ):
        assert row in markdown.splitlines()
    assert "leaves out: ema = 0.9" in markdown


def test_contenders_alternate_seed_by_seed() -> None:
    config = "--config=configs/row_lstm.py"
    chosen = ["--contenders=seqvision,torch_ours", "--seeds=3,4", "--name=none-such", config]
    runs = time_to_accuracy.plan(time_to_accuracy.parse(chosen))
    assert [(run.seed, run.contender, run.cache) for run in runs[:3]] == [
        (3, "seqvision", "cold"),
        (3, "torch_ours", "none"),
        (3, "seqvision", "warm"),
    ]
    assert {run.seed for run in runs[3:]} == {4}


def test_peers_follow_our_schedule() -> None:
    recipe, left_out = recipe_of("configs/row_lstm.py")
    assert (recipe.peak, recipe.batch_size, recipe.train_examples) == (8e-3, 256, 55000)
    assert recipe.total_steps == 1719
    assert left_out == {"augment.max_shift": 2.0, "augment.max_rotation": 10.0}
    assert (recipe.gate_init, recipe.forget_bias) == ("constant", 1.0)
    small = dataclasses.replace(recipe, total_steps=50, warmup_steps=15)
    rates = small.learning_rates()
    schedule: optax.Schedule = create_schedule(
        "one_cycle", small.peak, 50, 15, small.start_fraction, small.final_fraction
    )
    assert rates == pytest.approx([float(schedule(step)) for step in range(50)], rel=1e-4)


def test_peers_read_the_command_line_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.peers.recipe import parse_recipe

    recipe = Recipe(recipe="ours", seed=3, peak=0.02, clip_norm=1.0, gate_init="chrono")
    monkeypatch.setattr(sys, "argv", ["peer", *recipe.arguments()])
    assert parse_recipe("") == recipe


def test_peers_start_as_ours() -> None:
    recipe, left_out = recipe_of("configs/row_lstm.py:fast")
    assert recipe.gate_init == "chrono" and left_out == {}
    uniform, left_out = recipe_of("configs/pixel_lstm.py")
    assert uniform.gate_init == "constant" and left_out["model.gate_init"] == "uniform"
    size = recipe.hidden_size
    kernels = recurrent_kernels(size, seed=3)
    assert kernels.shape == (4, size, size) and (kernels != recurrent_kernels(size, 4)).any()
    for kernel in kernels:
        np.testing.assert_allclose(kernel.T @ kernel, np.eye(size), atol=1e-5)
    biases = gate_biases("chrono", 1.0, size, seed=3)
    assert biases.shape == (4, size) and (biases[0] == -biases[1]).all() and not biases[2:].any()
    # exp(b) is uniform between 1 and T - 1 = 27.
    draws = np.sort(np.exp(gate_biases("chrono", 1.0, 4000, seed=3)[1]))
    np.testing.assert_allclose(draws, np.linspace(1, 27, 4000), atol=1)
    assert gate_biases("constant", 2.0, 2, seed=3).tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


def test_torch_starts_as_ours() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.peers.torch_mnist import RowLSTM, start_as_ours

    recipe = Recipe(recipe="ours", hidden_size=8, gate_init="chrono")
    lstm = RowLSTM(8).lstm
    start_as_ours(lstm, recipe)
    # With no input and no memory a gate is its biases; the product is of each gate's own kernel.
    hidden = torch.ones(8)
    gates = lstm.bias_ih_l0 + lstm.bias_hh_l0 + lstm.weight_hh_l0 @ hidden
    expected = gate_biases("chrono", 1.0, 8, 0) + recurrent_kernels(8, 0) @ np.ones(8, np.float32)
    np.testing.assert_allclose(gates.detach().numpy(), expected.ravel(), atol=1e-5)


def test_keras_starts_as_ours() -> None:
    pytest.importorskip("keras")
    from benchmarks.peers.keras_mnist import create_model, keras, start_as_ours

    recipe = Recipe(recipe="ours", hidden_size=8, gate_init="chrono")
    lstm = create_model(recipe, keras.optimizers.Adam()).layers[0]
    start_as_ours(lstm, recipe)
    _, kernel, bias = lstm.get_weights()
    np.testing.assert_allclose(bias.reshape(4, 8), gate_biases("chrono", 1.0, 8, 0))
    np.testing.assert_allclose(kernel.reshape(8, 4, 8).swapaxes(0, 1), recurrent_kernels(8, 0))


def test_peers_read_mnist() -> None:
    images, labels = read_split("test")
    folder = Path("seqvision/data/mnist")
    assert (images * 255 == read_idx(folder / "t10k-images-idx3-ubyte.gz")).all()
    assert (labels == read_idx(folder / "t10k-labels-idx1-ubyte.gz")).all()
