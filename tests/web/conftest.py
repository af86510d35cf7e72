"""A browser, a page from the server, and the same page as a folder."""

import asyncio
import contextlib
import functools
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from aiohttp import web

from seqvision.exporters.description import describe
from seqvision.onnx.network import whole_network
from seqvision.onnx.step import network_step
from seqvision.runs.saved_run import Run
from seqvision.web.pages import write_page
from seqvision.web.server import PageServer
from seqvision.web.streams import opener
from tests.web.node import CHROMIUM, RUNTIME
from tests.web.runs import digit_reader

Address = contextlib.AbstractContextManager[str]


@pytest.fixture(scope="session")
def reader() -> Run:
    return digit_reader()


def page_server(run: Run, most_pages: int = 2) -> PageServer:
    facts = describe(run)
    return PageServer(facts, opener(run, facts), most_pages)


@contextlib.contextmanager
def served(run: Run, folder: Path) -> Iterator[str]:
    """The address of a server of the run, in a thread."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    runner = web.AppRunner(page_server(run).app({"127.0.0.1"}), shutdown_timeout=1.0)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.set()

    def work() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(20)
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@contextlib.contextmanager
def as_folder(run: Run, folder: Path) -> Iterator[str]:
    """The address of a server of plain files that gives the written folder."""
    written(run, folder)
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def written(run: Run, folder: Path) -> dict[str, Any]:
    """Writes the page's folder; returns its facts."""
    facts, model, shape = describe(run), run.model, run.data.input_shape
    params = jax.tree.map(np.asarray, run.params)
    build = network_step if facts["steps"] else whole_network
    content = build(model, params, shape).model().SerializeToString()
    folder.mkdir(exist_ok=True)
    (folder / "network.json").write_text(json.dumps(facts))
    (folder / ("step.onnx" if facts["steps"] else "network.onnx")).write_bytes(content)
    write_page(folder, RUNTIME)
    return facts


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Of one module, in which asyncio runs in other threads alone: playwright's loop goes on."""
    from playwright.sync_api import sync_playwright

    flags = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
        " --disable-component-update --disable-sync"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags.split())
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens an address in a new window; what it asks of any other address, or an error, fails."""
    contexts, wrong = [], []

    def opened(address: str, is_ready: bool = True, **options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                asked.url.startswith((address, "data:", "blob:")) or wrong.append(asked.url)
            ),
        )
        page.goto(address)
        page.wait_for_selector("body[data-ready]" if is_ready else "#problem:not(:empty)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
