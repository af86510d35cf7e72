"""Live reading by each engine: equal to offline, and to each other."""

import pickle
from typing import Any

import numpy as np
import pytest

from seqvision.inference import stream_engines
from seqvision.inference.stream_events import Event
from seqvision.inference.stream_network import DeviceNetwork, HostNetwork
from tests.inference.live_network import Network, cuts_of, line_of, text_of


@pytest.mark.parametrize(
    ("fields", "engine", "tolerance"),
    [
        ({"sequence": "columns", "cell": "lstm"}, "jax", 1e-5),
        ({"sequence": "cnn_columns", "cell": "gru"}, "jax", 1e-5),
        ({"sequence": "cnn_columns", "cell": "lstm", "compute_dtype": "bfloat16"}, "jax", 1e-2),
        ({"sequence": "cnn_columns", "cell": "lstm"}, "auto", 1e-5),
    ],
)
def test_many_lines_live_are_offline(
    rng: np.random.Generator, fields: dict[str, Any], engine: str, tolerance: float
) -> None:
    network, lines = Network(num_layers=2, **fields), [line_of(rng, n) for n in (200, 163)]
    live: dict[int, list[np.ndarray]] = {11: [], 19: []}

    def listen(stream: int, logits: np.ndarray) -> None:
        live[stream].append(logits)

    reader = network.reader(20, on_logits=listen, engine=engine)
    cuts = [cuts_of(rng, line.shape[1]) for line in lines]
    found: list[list[Event]] = [[], []]
    for turn in range(max(map(len, cuts))):
        pieces = {
            stream: line[:, own[turn]]
            for stream, line, own in zip(live, lines, cuts, strict=True)
            if turn < len(own)
        }
        for event in reader.push(pieces):
            found[event.stream == 19].append(event)
    for event in reader.finish(live):
        found[event.stream == 19].append(event)
    for events, line, pieces in zip(found, lines, live.values(), strict=True):
        whole = network.logits(line)
        assert np.ptp(whole) > 2
        np.testing.assert_allclose(
            np.concatenate(pieces), whole, atol=tolerance * np.abs(whole).max()
        )
        if "compute_dtype" not in fields:  # There two classes may be equally likely.
            assert text_of(events) == network.text(line)
            assert len(text_of(events)) > 20


@pytest.mark.parametrize("sequence", ["columns", "cnn_columns"])
def test_one_engine_goes_on_from_another(rng: np.random.Generator, sequence: str) -> None:
    pytest.importorskip("onnxruntime")
    network, line = Network(sequence, num_layers=2), line_of(rng, 120)
    text, at = network.text(line), 0
    events: list[Event] = []
    reader = network.reader(3, engine="numpy")
    for engine in ("onnxruntime", "jax", "numpy", "jax", "onnxruntime", "numpy"):
        events += reader.push({1: line[:, at : at + 20]})
        saved, at = pickle.dumps(reader.save()), at + 20
        reader = network.reader(3, engine=engine)
        reader.restore(pickle.loads(saved))
    assert len(text) > 10
    assert text_of(events + reader.finish(1)) == text


def test_engines_that_cannot_read_it_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network()
    with pytest.raises(ValueError, match=r"engine: 'cuda'; choose one of auto, onnxruntime, nu"):
        network.reader(engine="cuda")
    for fields, engine in [
        ({"compute_dtype": "bfloat16"}, "numpy"),
        ({"compute_dtype": "bfloat16"}, "onnxruntime"),
        ({"cell": "janet"}, "onnxruntime"),
    ]:
        with pytest.raises(
            ValueError, match=rf"^engine: {engine} reads [^\n]*; choose (numpy or )?jax$"
        ):
            Network(**fields).reader(engine=engine)
    monkeypatch.setattr(stream_engines, "_has_onnxruntime", lambda: False)
    with pytest.raises(ValueError, match=r"pip install 'seqvision\[export\]'"):
        network.reader(engine="onnxruntime")
    assert isinstance(network.reader(3)._network, HostNetwork)
    assert isinstance(network.reader(17)._network, DeviceNetwork)
