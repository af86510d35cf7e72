"""The server of the page: streams of their own, and messages for what is wrong."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import jax.numpy as jnp
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer

from seqvision import serve as mode
from seqvision.errors import UserError
from seqvision.exporters.description import describe
from seqvision.inference.stream_reader import StreamReader
from seqvision.runs.saved_run import Run
from seqvision.web import server as server_module
from seqvision.web.pages import check_shown, served, write_page
from seqvision.web.server import PageServer, serve
from seqvision.web.streams import opener
from tests.web.conftest import page_server
from tests.web.runs import classifier

Client = TestClient[Any, Any]
FINISH = '{"do": "finish"}'


def with_client(server: PageServer, work: Callable[[Client], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with TestClient(TestServer(server.app({"127.0.0.1", "localhost"}))) as client:
            await work(client)

    asyncio.run(whole())


async def opened(client: Client) -> aiohttp.ClientWebSocketResponse:
    stream = await client.ws_connect("/stream", max_msg_size=0)
    assert await stream.receive_json() == {"ready": True}
    return stream


async def answer(stream: aiohttp.ClientWebSocketResponse, message: bytes | str) -> dict[str, Any]:
    send = stream.send_bytes if isinstance(message, bytes) else stream.send_str
    await send(message)
    return await stream.receive_json()


def line(rng: np.random.Generator) -> np.ndarray:
    """Columns (32, 150) of scribbles in which letters are found."""
    columns = np.zeros((32, 150), np.uint8)
    for begin in range(5, 135, 16):
        blobs = rng.integers(0, 2, (5, 3)) * 255
        columns[6:26, begin : begin + 9] = np.kron(blobs, np.ones((4, 3)))
    return columns


def events_of(run: Run, columns: np.ndarray) -> list[Any]:
    reader = StreamReader(run)
    events = reader.push(columns) + reader.finish()
    assert len(events) > 6
    return [(e.symbol, list(e.columns), e.final, e.ends_word, e.column) for e in events]


def plain(events: list[dict[str, Any]]) -> list[Any]:
    names = ("symbol", "columns", "final", "ends_word", "column")
    return [tuple(event[name] for name in names) for event in events]


def test_pages_read_side_by_side_as_a_reader_reads(reader: Run, rng: np.random.Generator) -> None:
    lines = [line(rng), line(rng)]

    async def work(client: Client) -> None:
        streams, found = [await opened(client) for _ in lines], [[], []]
        for begin in range(0, 150, 15):
            for number, stream in enumerate(streams):
                piece = lines[number][:, begin : begin + 15]
                answered = await answer(stream, np.ascontiguousarray(piece.T).tobytes())
                assert answered["ms"] > 0
                found[number] += answered["events"]
        for number, stream in enumerate(streams):
            found[number] += (await answer(stream, FINISH))["events"]
            assert plain(found[number]) == events_of(reader, lines[number])

    with_client(page_server(reader), work)


def test_a_wrong_message_is_answered_and_nothing_is_lost(
    reader: Run, rng: np.random.Generator
) -> None:
    columns = line(rng)
    content = np.ascontiguousarray(columns.T).tobytes()

    async def work(client: Client) -> None:
        stream = await opened(client)
        found = (await answer(stream, content[:3200]))["events"]
        for message, error in (
            (b"", "0 bytes were pushed"),
            (bytes(33), "33 bytes were pushed; a step has 32"),
            (bytes(32 * 1025), "32800 bytes were pushed; .* one push takes 1 to 1024 steps"),
            (bytes(10_000_000), "one push takes 1 to 1024 steps"),
            ("[" * 100_000 + "]" * 100_000, "is no message; send bytes to read"),
            ('{"a":' * 50_000 + "1" + "}" * 50_000, "is no message"),
            ("[" * 30 + "]" * 30, "is no message"),
            ('"' + "\\ud800" * 9, "is no message"),
            ("x" * 10_000_000, "is no message; send bytes to read"),
            ('{"do": "dance"}', "is no message"),
            ("[NaN]", "is no message"),
            ('{"do": NaN}', "is no message"),
        ):
            answered = await answer(stream, message)
            assert re.search(error, answered["error"]) and len(answered["error"]) < 200
        assert "error" not in await answer(stream, '{"do":"reset"}')
        found = (await answer(stream, content[:3200]))["events"]
        assert (await answer(stream, bytes(32 * 1024)))["events"] is not None
        await answer(stream, '{ "do" : "reset" }')
        found = (await answer(stream, content[:3200]))["events"]
        found += (await answer(stream, content[3200:]))["events"]
        found += (await answer(stream, FINISH))["events"]
        assert plain(found) == events_of(reader, columns)
        # So large a message ends its connection, and that alone.
        other = await opened(client)
        with contextlib.suppress(ConnectionError):
            await other.send_bytes(bytes(33 << 20))
        ends = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert (await other.receive()).type in ends
        assert "events" in await answer(stream, content)

    with_client(page_server(reader), work)


def test_one_page_too_many_is_told_so_until_another_leaves(reader: Run) -> None:
    server = page_server(reader, most_pages=2)

    async def work(client: Client) -> None:
        first, _second = await opened(client), await opened(client)
        third = await client.ws_connect("/stream")
        message = await third.receive()
        assert message.type == aiohttp.WSMsgType.CLOSE
        assert message.extra == "2 pages are open, as many as this server serves: close one"
        # The first one breaks off without a word, while it waits for an answer.
        await first.send_bytes(bytes(3200))
        first._response.connection.transport.abort()
        async with asyncio.timeout(15):
            while len(server.sockets) > 1:
                await asyncio.sleep(0.01)
        assert "events" in await answer(await opened(client), bytes(32))

    with_client(server, work)
    assert not server.sockets


def test_other_sites_and_names_are_refused(reader: Run) -> None:
    async def work(client: Client) -> None:
        own = str(client.make_url("")).rstrip("/")
        for name, value in (
            ("Origin", "http://evil.example"),
            ("Origin", "http://[evil.example"),
            ("Origin", "http://127.0.0.1:1"),
            ("Origin", "null"),
            ("Origin", "//"),
            ("Host", "evil.example:80"),
            ("Host", "[::1"),
            ("Host", "[evil]"),
            ("Host", ""),
        ):
            for path in ("/stream", "/network.json"):
                async with client.get(path, headers={name: value}) as response:
                    assert response.status == 403, value
                    assert value in await response.text()
        for headers in ({"Origin": own}, {"Host": "LOCALHOST:9"}, {"Host": "127.0.0.1"}):
            async with client.get("/", headers=headers) as response:
                assert response.status == 200

    with_client(page_server(reader), work)


def test_an_open_server_goes_by_any_name_and_is_not_for_other_sites(reader: Run) -> None:
    server = page_server(reader)
    server.is_open = True

    async def work(client: Client) -> None:
        for headers, status in (
            ({"Host": "machine.example:80"}, 200),
            ({"Host": "machine.example", "Origin": "http://machine.example"}, 200),
            ({"Host": "machine.example", "Origin": "http://evil.example"}, 403),
            ({"Host": "[", "Origin": "http://["}, 403),
        ):
            async with client.get("/network.json", headers=headers) as response:
                assert response.status == status

    with_client(server, work)


def test_the_files_of_the_page_are_given_and_no_others(reader: Run) -> None:
    async def work(client: Client) -> None:
        for name, path in {"": served()["index.html"], **served()}.items():
            async with client.get(f"/{name}") as response:
                assert await response.read() == path.read_bytes()
        async with client.get("/network.json") as response:
            facts = await response.json()
            assert (facts["engine"], facts["kind"]) == ("socket", "reader")
        for name in ("onnx_engine.js", "server.py", "..%2fserver.py"):
            async with client.get(f"/{name}") as response:
                assert response.status == 404

    with_client(page_server(reader), work)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"sequence": "rows", "readout": "mean"}, (5, 4, 2)),
        ({"sequence": "columns"}, (5, 4, 2)),
        ({"sequence": "pixels"}, (5, 4, 2)),
        ({"sequence": "frames", "cnn_channels": (2,)}, (3, 5, 4, 1)),
        ({"sequence": "rows", "bidirectional": True}, (5, 4, 2)),
    ],
)
def test_belief_is_that_of_the_network(
    fields: dict[str, Any], shape: tuple[int, ...], rng: np.random.Generator
) -> None:
    run = classifier(shape, **fields)
    facts = describe(run)
    inputs = rng.integers(0, 256, shape, np.uint8)
    axis = {"columns": 1}.get(facts["steps"], 0)
    steps = np.moveaxis(inputs, axis, 0)
    if facts["steps"] == "pixels":
        steps = inputs.reshape(-1, shape[-1])
    logits = run.model.apply({"params": run.params}, jnp.asarray(inputs[None] / np.float32(255)))
    powers = np.exp(np.asarray(logits)[0])
    expected = powers / powers.sum()

    async def work(client: Client) -> None:
        stream = await opened(client)
        for _ in range(2):  # The second time after a reset.
            pieces = np.array_split(steps, 2) if facts["steps"] else [inputs]
            found = []
            for piece in pieces:
                found += (await answer(stream, piece.tobytes()))["beliefs"]
            assert len(found) == (len(steps) if facts["steps"] else 1)
            np.testing.assert_allclose(found[-1], expected, atol=1e-5)
            assert "no line to finish" in (await answer(stream, FINISH))["error"]
            assert "error" not in await answer(stream, '{"do": "reset"}')

    with_client(page_server(run), work)


def test_a_taken_port_or_a_strange_host_is_named(reader: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"^--port: {port} is in use on 127.0.0.1; choose"):
            asyncio.run(serve(page_server(reader), "127.0.0.1", port))
    for host in ("192.0.2.1", "no.such.host.invalid", "a..b", "a" * 70, ".", "a b", "a\0b"):
        with pytest.raises(UserError, match=rf"^--host: {re.escape(host)} cannot be served here"):
            asyncio.run(serve(page_server(reader), host, 0))
    with pytest.raises(UserError, match=r"^--host: empty, which would open the page to all"):
        asyncio.run(serve(page_server(reader), "", 0))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "127.1", "LOCALHOST", "127.0.0.2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_a_signal(
    host: str,
    number: signal.Signals,
    reader: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = []

    def say(line: str) -> None:
        said.append(line)
        if line == "Ctrl-C ends it":
            threading.Timer(0.1, os.kill, (os.getpid(), number)).start()

    monkeypatch.setattr(mode, "load_run", lambda workdir, seed: reader)
    monkeypatch.setattr(server_module, "say", say)
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert mode.serve_run(Path(), host, 0) == {"SIGINT": 130, "SIGTERM": 143}[number.name]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    signal.signal(signal.SIGTERM, before)
    address = "localhost" if host == "0.0.0.0" else host
    assert said[0].startswith(f"page      http://{address}:")
    assert ("whoever reaches this machine can use this page" in said[1]) == (host == "0.0.0.0")
    assert len(said) == (3 if host == "0.0.0.0" else 2)
    assert capsys.readouterr().out.endswith(f"ended by {number.name}\n")


def test_a_whole_image_comes_alone() -> None:
    """For each number of images a program would be compiled."""
    run = classifier((5, 4, 2), sequence="rows", bidirectional=True)
    stream = opener(run, describe(run))()
    assert len(stream.push(bytes(40))["beliefs"]) == 1
    with pytest.raises(
        ValueError, match=r"^80 bytes were pushed; a step has 40, .* takes one step"
    ):
        stream.push(bytes(80))


def test_an_image_larger_than_the_most_of_a_push_is_read() -> None:
    run = classifier((1030, 1030, 1), sequence="rows", bidirectional=True)
    assert len(opener(run, describe(run))().push(bytes(1030 * 1030))["beliefs"]) == 1


def test_a_missing_run_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run here; train it first: the same command without"):
        mode.serve_run(tmp_path / "none", "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("shape", "fields", "what"),
    [((3, 5, 4, 1), {"sequence": "frames", "cnn_channels": (2,)}, "clip")],
)
def test_both_directions_are_refused(
    shape: tuple[int, ...], fields: dict[str, Any], what: str, reader: Run
) -> None:
    run = classifier(shape, bidirectional=True, **fields)
    for facts, name in (
        (describe(run), what),
        (describe(reader) | {"steps": None}, "line"),
    ):
        with pytest.raises(UserError, match=f"needs the whole {name}, so no page can show it"):
            check_shown(facts, "runs/made")


def test_a_page_without_its_engine_says_how_to_get_it(reader: Run, tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text(json.dumps(describe(reader)))
    for given, found in (("", "missing"), (tmp_path, "there is no .*/dist/ort.wasm.min")):
        with pytest.raises(UserError, match=f"^--onnxruntime_web: {found}.*npm install"):
            write_page(tmp_path, given)
    assert [path.name for path in tmp_path.iterdir()] == ["network.json"]
