"""Downloads where the network is away, silent or there; all servers are of this machine."""

import http.server
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from tensorflow_datasets.core.download import downloader

from seqvision.config.user_path import user_cache
from seqvision.data.sources.decoded_cache import cache_folder
from seqvision.data.sources.download import ANSWER_SECONDS, giving_up_soon
from seqvision.data.sources.tfds_builder import data_folder
from seqvision.runtime.compilation_cache import enable_compilation_cache
from tests.data.making import says


def get(url: str, seconds: float = ANSWER_SECONDS) -> bytes:
    with giving_up_soon(seconds), downloader._open_url(url, verify=True) as (_, chunks):
        return b"".join(chunks)


def test_no_answer_is_not_waited_for_long() -> None:
    assert ANSWER_SECONDS < 20
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.monotonic()
        with pytest.raises(requests.exceptions.RequestException):
            get(f"http://127.0.0.1:{silent.getsockname()[1]}/x", 0.3)
        assert time.monotonic() - start < 5
        closed = silent.getsockname()[1]
    url = f"http://127.0.0.1:{closed}/x"
    with pytest.raises(requests.exceptions.ConnectionError, match=f"^{url}: "):
        get(url)


def test_an_answer_is_downloaded() -> None:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"content")

        def log_message(self, *_: object) -> None: ...

    stock = downloader._open_with_requests
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert get(f"http://127.0.0.1:{server.server_port}/x") == b"content"
        server.shutdown()
    assert downloader._open_with_requests is stock


@pytest.mark.parametrize("manner", ["hangs", "hangs after one", "busy", "cuts"])
def test_a_server_that_stops_answering(manner: str, caplog: pytest.LogCaptureFixture) -> None:
    """Also after a first answer, and without words of the library."""
    asked, stop = [], threading.Event()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if manner == "cuts":
                return
            if manner == "busy" or (manner == "hangs after one" and len(asked) == 1):
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            stop.wait(5)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        start = time.monotonic()
        with pytest.raises(requests.exceptions.RequestException, match=r"^http://127.*/x: "):
            get(f"http://127.0.0.1:{server.server_port}/x", 1.0)
        assert time.monotonic() - start < 4
        assert asked and not caplog.records
        stop.set()
        server.shutdown()


def test_without_a_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """HOME is unset and the user has no entry in passwd, as in many containers."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert user_cache() is None
    says(
        lambda: cache_folder(""), "config.data.cache_dir: no home folder is known", "name a folder"
    )
    assert cache_folder(str(tmp_path)) == tmp_path
    says(lambda: data_folder(""), "config.data.dir: ", "'~' is not known here")
    said: list[str] = []
    enable_compilation_cache(said.append)
    assert len(said) == 1 and "JAX_COMPILATION_CACHE_DIR" in said[0]
