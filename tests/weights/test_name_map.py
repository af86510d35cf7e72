"""`--map`: networks whose arrays have names of their own say what they say under known ones."""

import json
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from seqvision.config.validation import validate
from seqvision.errors import UserError
from seqvision.importing import import_weights
from seqvision.runs.imported import foreign_source, layers_of
from seqvision.weights import fitting, own_layers
from seqvision.weights.name_map import NameMap, parse, renamed
from seqvision.weights.source import Source, open_source
from seqvision.weights.stored_arrays import StoredArrays, in_memory
from tests.weights.bundle_writer import write_bundle
from tests.weights.test_import import ESTIMATOR
from tests.weights.test_layers import flax_cell, network, ours, says
from tests.weights.test_torch_file import state_dict


def read(path: Path, pairs: str) -> tuple[Any, Source, NameMap]:
    source, names = renamed(foreign_source(path), parse([pairs]))
    with names.in_errors():
        return layers_of(path, source), source, names


def test_a_checkpoint_of_tensorflow(
    small_config: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a program whose cell has a name of its own and whose last layer is `x @ W + b`."""
    arrays = open_source(ESTIMATOR / "row_lstm").arrays
    other = {"rnn/lstm_cell": "rows/reader", "dense/kernel": "W", "dense/bias": "b"}
    held = {}
    for name in arrays:
        start = next((start for start in other if name.startswith(start)), "")
        held[other.get(start, "") + name[len(start) :]] = arrays[name]
    assert {"W", "b", "W/Adam_1", "rows/reader/kernel/Adam"} <= held.keys()
    write_bundle(tmp_path / "model.ckpt", held)
    texts = ["W:classifier/kernel,b:classifier/bias", "rows/reader:recurrent/layer_0/cell"]
    settings, said = validate(small_config), ESTIMATOR / "row_lstm/said.npz"
    path, run = tmp_path / "model.ckpt", tmp_path / "run"
    with pytest.raises(UserError, match=r"no dense layer .* are W, b, rows/reader.*:classifier"):
        import_weights(settings, run, path)
    capsys.readouterr()
    import_weights(settings, run, path, said, pairs=parse(texts))
    output = capsys.readouterr().out
    assert "from W\n" in output and "from rows/reader/kernel: rows to 28" in output
    assert "dense/" not in output and "Adam goes on from its slots, after 1875" in output
    record = json.loads((run / "imported.json").read_text())
    assert record["map"] == ",".join(texts).split(",")


def test_a_safetensors_file_of_torch(tmp_path: Path) -> None:
    """Each array of a GRU of two layers in both directions by a name of its own."""
    arrays, inputs, said = network("torch", "gru_stack")
    held, pairs = {}, ["last.W:classifier/kernel", "last.b:classifier/bias"]
    for number, (name, array) in enumerate(arrays.items()):
        module, _, array_name = name.partition(".")
        if module == "head":
            held[f"last.{'W' if array_name == 'weight' else 'b'}"] = array
            continue
        held[f"w{number}"] = np.ascontiguousarray(array)
        kind, _, place = array_name.partition("_l")
        side = "backward" if place.endswith("reverse") else "forward"
        pairs.append(f"w{number}:recurrent/layer_{place[0]}_{side}/cell/{kind}")
    save_file(held, tmp_path / "w.safetensors", {"format": "pt"})
    layers, source, names = read(tmp_path / "w.safetensors", ", ".join(pairs))
    names.check(own_layers.write(layers))
    np.testing.assert_allclose(says(layers, inputs, None, source.arrays), said, atol=2e-6)


def test_a_pt_file(tmp_path: Path) -> None:
    """Of nn.LSTMCell, whose arrays have no number, beside a layer `out.w`."""
    arrays, inputs, said = network("torch", "lstm")
    held = {f"cell.{key[4:-3]}": array for key, array in arrays.items() if key.startswith("rnn.")}
    assert "cell.weight_ih" in held
    held |= {"out.w": arrays["head.weight"], "out.b": arrays["head.bias"]}
    state_dict(tmp_path / "w.pt", held)
    pairs = "cell:recurrent/layer_0/cell,out.w:classifier/weight,out.b:classifier/bias"
    with pytest.raises(UserError, match=r"no nn\.LSTM or nn\.GRU .* cell\.weight_ih, .*/cell$"):
        read(tmp_path / "w.pt", "out.w:classifier/weight")
    layers, source, names = read(tmp_path / "w.pt", pairs)
    names.check(own_layers.write(layers))
    np.testing.assert_allclose(says(layers, inputs, None, source.arrays), said, atol=2e-6)


def test_two_modules_of_torch_in_the_order_that_is_said(rng: np.random.Generator) -> None:
    arrays, *_ = network("torch", "lstm")
    square = {
        key.replace("rnn", "above"): np.float32(rng.normal(size=(20, 5) if "w" in key else 20))
        for key in arrays
        if key.startswith("rnn.")
    }
    stored = {key: in_memory(array) for key, array in (square | arrays).items()}
    source = Source("torch", StoredArrays(stored))
    with pytest.raises(UserError, match=r"2 recurrent modules \(above, rnn\) .* --map=above:re"):
        layers_of(Path("w.pt"), source)
    pairs = [("rnn", "recurrent/layer_0/cell"), ("above", "recurrent/layer_1/cell")]
    layers = layers_of(Path("w.pt"), renamed(source, pairs)[0])
    found = own_layers.write(layers)
    kernel = found["recurrent/layer_1/cell/recurrent_kernel"].array
    np.testing.assert_array_equal(kernel, square["above.weight_hh_l0"].T)


def test_layers_of_keras_by_their_names() -> None:
    arrays, inputs, said = network("keras", "gru")
    named = {}
    for key, array in reversed(arrays.items()):
        layer, _, rest = key.removeprefix("layers/").partition("/")
        base = {"gru": "under", "gru_1": "above", "dense": "out"}[layer]
        kept = ("kernel", "recurrent_kernel", "bias") if "cell" in rest else ("kernel", "bias")
        named[f"{base}/{kept[int(key[-1])]}:0"] = in_memory(array)
    source = Source("keras", StoredArrays(named))
    with pytest.raises(UserError, match=r"tell their order.*--map=above:recurrent/layer_0"):
        layers_of(Path("w.h5"), source)
    pairs = ["under:recurrent/layer_0/cell", "above:recurrent/layer_1/cell"]
    pairs += ["out/kernel:0:classifier/kernel", "out/bias:0:classifier/bias"]
    source, _ = renamed(source, parse(pairs))
    layers = layers_of(Path("w.h5"), source)
    np.testing.assert_allclose(says(layers, inputs, None, source.arrays), said, atol=2e-6)


def test_cells_of_flax_whose_names_say_no_order(rng: np.random.Generator) -> None:
    arrays = flax_cell("above", 2, rng) | flax_cell("under", 2, rng)
    arrays |= {"out/kernel": np.zeros((2, 3), np.float32), "out/bias": np.zeros(3, np.float32)}
    source = Source("flax", StoredArrays({k: in_memory(array) for k, array in arrays.items()}))
    pairs = ["above:recurrent/layer_1/cell", "under:recurrent/layer_0/cell"]
    source, names = renamed(source, parse(pairs))
    parts = own_layers.write(layers_of(Path("w.msgpack"), source))
    names.check(parts)
    origin = " ".join(f"under/i{gate}/kernel," for gate in "ifgo")[:-1]
    assert any(f" from {origin}: side" in names.in_table(n) for n in fitting.table(parts))
    for number, name in enumerate(("under", "above")):
        kernel = parts[f"recurrent/layer_{number}/cell/input_kernel"].array
        np.testing.assert_array_equal(kernel[:, :2], arrays[f"{name}/ii/kernel"])


def test_our_own_file_with_one_name_changed(rng: np.random.Generator) -> None:
    shapes = {"input_kernel": (4, 12), "recurrent_kernel": (3, 12), "bias": (12,)}
    arrays = {f"recurrent/layer_0/cell/{k}": rng.normal(size=s) for k, s in shapes.items()}
    arrays |= {"head/kernel": rng.normal(size=(3, 2)), "classifier/bias": rng.normal(size=2)}
    source = Source("seqvision", StoredArrays({k: in_memory(a) for k, a in arrays.items()}))
    source, names = renamed(source, parse(["head/kernel:classifier/kernel"]))
    layers = layers_of(Path("w"), source)
    np.testing.assert_array_equal(layers.classifier["kernel"].array, arrays["head/kernel"])
    lines = [names.in_table(line).split() for line in fitting.table(own_layers.write(layers))]
    assert ["classifier/kernel", "3", "x", "2", "from", "head/kernel"] in lines
    assert ["classifier/bias", "2", "from", "classifier/bias"] in lines


def small_source(rng: np.random.Generator) -> Source:
    shapes = {
        "rnn/reader/kernel": (4 + 3, 12),
        "rnn/reader/bias": (12,),
        "logits/kernel": (3, 3),
        "logits/bias": (3,),
    }
    stored = {k: in_memory(np.float32(rng.normal(size=shape))) for k, shape in shapes.items()}
    return Source("tensorflow", StoredArrays(stored))


CELL = "rnn/reader:recurrent/layer_0/cell"
WRONG = {
    "logits": "'logits' is no pair of names; write --map=THEIRS:OURS",
    "logit/kernel:classifier/kernel": "no array or layer 'logit/kernel'; did you mean 'logits/k",
    "logit:classifier": "no array or layer 'logit'; did you mean 'logits'",
    "logits:clasifier": "'clasifier' is no layer of ours .*; did you mean 'classifier'",
    "rnn/reader:recurent/layer_3/cell": "; did you mean 'recurrent/layer_3/cell'",
    "logits/kernel:classifier/weight": "'weight' is no array of .* TensorFlow.* of kernel, bias",
    "logits/kernel:classifier": "it is an array, and classifier a layer; write classifier/NAME",
    "logits:classifier/kernel": "logits is no array but has logits/kernel in it",
    "logits:classifier,rnn/reader/bias:classifier/bias": "both named as the same array of class",
    "logits:classifier,logits/bias:recurrent/layer_0/cell/bias": "logits/bias is named twice",
    f"logits/kernel:classifier/bias,logits/bias:classifier/kernel,{CELL}": "logits/bias: shape",
    "logits:classifier,rnn/reader:recurrent/layer_1/cell": "read as recurrent/layer_0/cell/.*, no",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_one_line(rng: np.random.Generator, text: str) -> None:
    with pytest.raises(UserError, match=WRONG[text]) as caught:
        source, names = renamed(small_source(rng), parse([text]))
        with names.in_errors():
            layers = layers_of(Path("w"), source)
            _, shapes = ours(layers, jnp.zeros((1, 5, 4, 1)))
            names.check(fitting.fit(layers, shapes, list(source.arrays)))
    assert str(caught.value).isprintable()
    assert "dense/" not in str(caught.value)
