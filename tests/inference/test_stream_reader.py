"""Live reading decodes the text of the whole line, however the columns come."""

import gc
import pickle
import tracemalloc

import jax
import numpy as np
import pytest

from seqvision.inference.stream_events import Event, LineState
from tests.inference.live_network import (
    HEIGHT,
    Network,
    cuts_of,
    line_of,
    plain,
    read,
    text_of,
)


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(num_layers=2)


@pytest.mark.parametrize("engine", ["alone", "in_onnxruntime"])
@pytest.mark.parametrize("sequence", ["columns", "cnn_columns"])
def test_live_is_offline(
    network: Network, rng: np.random.Generator, sequence: str, engine: str
) -> None:
    if sequence == "cnn_columns":
        network = Network(sequence, "gru", num_layers=2)
    reader = getattr(network, engine)
    line = line_of(rng, 200)
    expected = network.text(line)
    assert len(expected) > 30
    assert len(set(expected)) > 3
    whole = network.logits(line)
    for _ in range(8):
        network.live_logits.clear()
        events = read(reader, line, cuts_of(rng, 200))
        assert text_of(events) == text_of(events, final=False) == expected
        live = np.concatenate(network.live_logits)
        np.testing.assert_allclose(live, whole, atol=1e-5 * np.abs(whole).max())


@pytest.mark.parametrize("letter_delay", [0, 3])
def test_events_of_a_letter(network: Network, rng: np.random.Generator, letter_delay: int) -> None:
    line = line_of(rng, 200)
    reader = network.reader(letter_delay=letter_delay) if letter_delay == 0 else network.alone
    events = read(reader, line, [slice(None)])
    decoded = network.decoded(line)
    count = int(decoded.num_symbols)
    begun = [event for event in events if not event.final]
    final = [event for event in events if event.final]
    np.testing.assert_array_equal([e.column for e in begun], decoded.starts[:count] + 1)
    # It is seen to have ended a column later, if there is one.
    seen = np.minimum(decoded.ends[:count] + 2, 200 + 3)
    np.testing.assert_array_equal([e.column for e in final], seen)
    np.testing.assert_allclose(
        [e.confidence for e in final], decoded.confidences[:count], atol=1e-4
    )
    shift = {0: 0, 3: 2}[letter_delay]
    ends = np.clip(decoded.starts[:count] - shift, 0, 199)
    for first, last in zip(begun, final, strict=True):
        assert first.columns == last.columns
        assert first.confidence <= last.confidence + 1e-6
        assert not first.ends_word
    np.testing.assert_array_equal([e.columns[1] for e in final], ends)
    begins = np.minimum([0, *ends[:-1] + 1], ends)
    np.testing.assert_array_equal([e.columns[0] for e in final], begins)
    assert " " in text_of(events)
    in_finish = final[-1].column > 200
    ends_word = [e.symbol == " " for e in final[:-1]] + [final[-1].symbol == " " or in_finish]
    assert [e.ends_word for e in final] == ends_word


@pytest.mark.parametrize("place", ["four", "four_in_onnxruntime", "twenty"])
def test_streams_side_by_side_are_as_if_alone(
    network: Network, rng: np.random.Generator, place: str
) -> None:
    alone, together = network.alone, getattr(network, place)
    lines = [[line_of(rng, int(n)) for n in rng.integers(1, 150, 3)] for _ in range(4)]
    expected = [[plain(read(alone, line, [slice(None)])) for line in own] for own in lines]
    found: list[list[list[Event]]] = [[] for _ in lines]
    left: list[list[np.ndarray]] = [[] for _ in lines]
    waiting = [list(own) for own in lines]
    while any(waiting) or any(left):
        for stream in rng.permutation(4).tolist():
            if not left[stream] and waiting[stream] and rng.random() < 0.5:
                left[stream] = [waiting[stream].pop(0)]
                found[stream].append([])
        batch, ending = {}, []
        for stream, rest in enumerate(left):
            if rest and rng.random() < 0.8:
                size = int(rng.choice([0, 1, 5, 8, 70]))
                batch[stream], after = rest[0][:, :size], rest[0][:, size:]
                left[stream] = [after] if after.shape[1] else []
                ending += [] if left[stream] else [stream]
        for event in together.push(batch) + together.finish(ending):
            found[event.stream][-1].append(event)
    assert [[plain(events) for events in own] for own in found] == expected


def test_saved_restored_and_reset(network: Network, rng: np.random.Generator) -> None:
    line = line_of(rng, 150)
    reader, other = network.alone, network.reader(engine="numpy")
    expected = plain(read(reader, line, [slice(None)]))
    events = reader.push(line[:, :77])
    saved = pickle.dumps(reader.save())
    assert len(saved) < 4000
    reader.push(line[:, 9:31])
    other.push(line[:, 5:50])
    for fresh in (reader, other):
        fresh.restore(pickle.loads(saved))
        assert plain(events + fresh.push(line[:, 77:]) + fresh.finish()) == expected
    other.push(line[:, 20:40])
    other.reset()
    assert plain(read(other, line, [slice(None)])) == expected
    with pytest.raises(ValueError, match="the state is of 1 streams; this reader has 4"):
        network.four.restore(reader.save())
    with pytest.raises(ValueError, match="dict is no state of a reader"):
        reader.restore({})
    with pytest.raises(ValueError, match="the state is of another network"):
        reader.restore(reader.save()._replace(network="another's digest"))


DAMAGED = {
    "symbol": LineState(5, 99, 1, -0.1, 0),
    "symbol, negative": LineState(5, -1, 1, -0.1, 0),
    "texts": ("a", "b", "c", "d", "e"),
    "confidence": LineState(5, 2, 1, 3.0, 0),
    "NaN": LineState(5, 2, 1, float("nan"), 0),
    "infinite": LineState(5, 2, 1, float("-inf"), 0),
    "negative columns": LineState(-5, 2, 1, -0.1, 0),
    "truth": LineState(True, 0, 0, -0.1, -1),
    "start behind the columns": LineState(5, 2, 5, -0.1, 0),
    "end behind the start": LineState(5, 2, 1, -0.1, 2),
    "end": LineState(5, 2, 1, -0.1, -2),
    "fraction": LineState(5.5, 2, 1, -0.1, 0),
    "none": None,
    "short": (5, 2, 1),
}


@pytest.mark.parametrize("num_streams", [1, 20])
def test_damaged_states_are_refused(
    network: Network, rng: np.random.Generator, num_streams: int
) -> None:
    reader = network.alone if num_streams == 1 else network.twenty
    line = line_of(rng, 60)
    reader.reset(range(num_streams))
    reader.push({0: line[:, :31]})
    state = reader.save()
    events = plain(reader.push({0: line[:, 31:]}) + reader.finish(0))
    reader.restore(state)
    others = state.streams[1:]
    damaged = {name: state._replace(streams=(one, *others)) for name, one in DAMAGED.items()}
    for name, streams in {"no streams": None, "a number": 3, "a list": [*state.streams]}.items():
        damaged[name] = state._replace(streams=streams)
    memory = state.memory
    for name, other in {
        "NaN memory": jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), memory),
        "infinite memory": jax.tree.map(lambda leaf: np.full_like(leaf, np.inf), memory),
        "ints": jax.tree.map(lambda leaf: 3, memory),
        "lists": jax.tree.map(np.ndarray.tolist, memory),
        "float64": jax.tree.map(np.float64, memory),
        "a part": memory[0],
        "no memory": None,
        "an odd dictionary": {1: memory, "1": memory},
        "cut": jax.tree.map(lambda leaf: leaf[..., :-1], memory),
    }.items():
        damaged[name] = state._replace(memory=other)
    for name, wrong in damaged.items():
        with pytest.raises(ValueError, match=r"^the state is damaged: [^\n]*$"):
            reader.restore(wrong)
            pytest.fail(name)
    # It goes on as if none of them had come.
    assert plain(reader.push({0: line[:, 31:]}) + reader.finish(0)) == events
    with pytest.raises(ValueError, match="of another network"):
        reader.restore(state._replace(network=np.zeros(2)))


def test_many_columns_take_no_memory(rng: np.random.Generator) -> None:
    reader = Network(hidden_size=2).reader(num_streams=10, engine="jax")
    columns = dict.fromkeys(range(10), line_of(rng, 1536, repeats=60))
    reader.push(columns)
    reader.push(columns)
    num_events = 0
    arrays = len(jax.live_arrays())
    tracemalloc.start()
    try:
        for turn in range(3):
            events = reader.push(columns)
            num_events, column = num_events + len(events), events[-1].column
            gc.collect()
            if turn == 0:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert num_events > 300
    # The columns of two turns are 185 kB, their events 165 kB; checks of types keep a little.
    assert after - before < 50_000
    assert len(jax.live_arrays()) <= arrays
    assert column > 7500


def test_bad_columns_change_nothing(network: Network, rng: np.random.Generator) -> None:
    line = line_of(rng, 60)
    reader, four = network.alone, network.four
    expected = plain(read(reader, line, [slice(None)]))
    events = reader.push(line[:, :30, None])
    nan = np.full((HEIGHT, 2), np.nan)
    for columns, message in [
        (line[:-1], r"uint8 \(5, 60\); this run reads uint8 \(6, any number of columns\)"),
        (line.astype(np.float32), r"float32 \(6, 60\)"),
        (np.concatenate([line, nan], axis=1), "NaN in column 60"),
        (np.stack([line] * 3, axis=-1), "in colour"),
        (line[0], r"\(60,\)"),
        ({1: line}, "stream 1: this reader has streams 0 to 0"),
        ({"0": line}, "stream '0'"),
    ]:
        with pytest.raises(ValueError, match=message):
            reader.push(columns)
    assert reader.push(line[:, :0]) == reader.push(np.zeros((HEIGHT, 0))) == reader.push({}) == []
    assert plain(events + reader.push(line[:, 30:]) + reader.finish()) == expected
    with pytest.raises(ValueError, match="columns of which stream"):
        four.push(line)
    with pytest.raises(ValueError, match="stream 4"):
        four.push({0: line, 4: line})
    with pytest.raises(ValueError, match="stream -1"):
        four.finish(-1)
    assert plain(four.finish(0)) == plain(reader.finish())  # It had read nothing.
    with pytest.raises(ValueError, match="whole number from 1"):
        network.reader(num_streams=0)
