"""The server of the page: files, and a WebSocket for each page."""

import asyncio
import contextlib
import ipaddress
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from seqvision.errors import UserError
from seqvision.runtime.console import say
from seqvision.web.pages import served
from seqvision.web.streams import Facts, Stream

_MOST_MESSAGE = 32 << 20  # A larger one ends the connection; `streams` refuses much smaller ones.
_MOST_TEXT = 64  # Characters of a message that is no steps.
_ENDS = (signal.SIGINT, signal.SIGTERM)
_HEARTBEAT = 15.0  # Seconds after which a connection that went silent is dropped.
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Gives the page to browsers, and each of them a stream of its own.

    Attributes:
      sockets: the open connections.
      is_open: whether others than this machine are served, by whatever name they call it.
    """

    def __init__(self, facts: Facts, open_stream: Callable[[], Stream], most_pages: int) -> None:
        """Gets ready.

        Args:
          facts: of `exporters.description.describe`.
          open_stream: see `streams.opener`.
          most_pages: how many may be open at once.
        """
        self.sockets: set[web.WebSocketResponse] = set()
        self.is_open = False
        self._facts, self._open, self._most = facts | {"engine": "socket"}, open_stream, most_pages
        self._files = served()

    def app(self, hosts: set[str]) -> web.Application:
        """The application.

        Args:
          hosts: the names that a browser may call this server by, unless it is open. A page of
            another site could else reach a server of this machine by a name that leads here.
        """

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not self.is_open and _name_in(f"//{request.host}") not in hosts:
                raise web.HTTPForbidden(text=f"this server is not called {request.host}\n")
            origin = request.headers.get("Origin")
            if origin is not None and not _is_of(origin, request.host):
                raise web.HTTPForbidden(text=f"this server is not for pages of {origin}\n")
            return await handler(request)

        app = web.Application(middlewares=[guard])
        app.router.add_get("/", self._file)
        app.router.add_get("/network.json", self._network)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/{name}", self._file)
        app.on_shutdown.append(self._close)
        return app

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "index.html")
        if name not in self._files:
            raise web.HTTPNotFound(text=f"there is no {name} here\n")
        return web.FileResponse(self._files[name], headers=_HEADERS)

    async def _network(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._facts, headers=_HEADERS)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Answers each message of a page, in order, until it leaves."""
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, max_msg_size=_MOST_MESSAGE)
        await socket.prepare(request)
        if len(self.sockets) >= self._most:
            reason = f"{self._most} pages are open, as many as this server serves: close one"
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=reason.encode())
            return socket
        self.sockets.add(socket)
        try:
            stream = await asyncio.to_thread(self._open)
            await socket.send_json({"ready": True})
            async for message in socket:
                if message.type in (WSMsgType.BINARY, WSMsgType.TEXT):
                    # In a thread, so that the other pages go on meanwhile.
                    answer = await asyncio.to_thread(answered, stream, message.data)
                    await socket.send_json(answer)
        except ConnectionError:
            pass  # The page left before its answer.
        finally:
            self.sockets.discard(socket)
        return socket

    async def _close(self, app: web.Application) -> None:
        for socket in list(self.sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server has ended")


def answered(stream: Stream, message: bytes | str) -> dict[str, Any]:
    """The answer to a message: steps to read, or `{"do": "finish"}` or `{"do": "reset"}`."""
    begun = time.perf_counter()
    try:
        answer = stream.push(message) if isinstance(message, bytes) else _done(stream, message)
    except ValueError as error:
        return {"error": str(error)}
    return answer | {"ms": 1000 * (time.perf_counter() - begun)}


def _done(stream: Stream, message: str) -> dict[str, Any]:
    try:  # Of a long one, the brackets alone could be too deep.
        wanted = json.loads(message) if len(message) <= _MOST_TEXT else None
    except ValueError:
        wanted = None
    if wanted == {"do": "finish"}:
        return stream.finish()
    if wanted == {"do": "reset"}:
        stream.reset()
        return {}
    raise ValueError(
        f"{message[:40]!r} is no message; send bytes to read,"
        ' {"do": "finish"} or {"do": "reset"}'
    )


def _name_in(address: str) -> str | None:
    """The name of the machine in an address, in small letters; None where there is none."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _is_of(origin: str, host: str) -> bool:
    """Whether a page of this origin came from this host."""
    return _name_in(origin) is not None and urlsplit(origin).netloc == host


async def serve(server: PageServer, host: str, port: int) -> signal.Signals:
    """Serves until Ctrl-C or SIGTERM.

    Args:
      server: the pages.
      host: a name or an address of this machine.
      port: 0 for a free one.

    Returns:
      The signal that ended it.

    Raises:
      UserError: there is no such host here, or the port is taken or not allowed.
    """
    if not host:
        raise UserError(
            "--host: empty, which would open the page to all that reach this machine; leave it out"
            " to serve this machine alone, or write --host=0.0.0.0"
        )
    hosts = {host.lower(), "localhost", "127.0.0.1", "::1"}
    runner = web.AppRunner(server.app(hosts), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, ValueError) as error:  # ValueError: no name at all, such as a..b.
            raise UserError(_why(error, host, port)) from None
        places = [address[0] for address in runner.addresses]
        server.is_open = not all(ipaddress.ip_address(place).is_loopback for place in places)
        name = f"[{host}]" if ":" in host else host
        port = runner.addresses[0][1]
        is_any = all(ipaddress.ip_address(place).is_unspecified for place in places)
        say(f"page      http://{'localhost' if is_any else name}:{port}/")
        if server.is_open:
            say(
                f"open      whoever reaches {'this machine' if is_any else host} can use this page"
                f" at port {port}: without a password, not encrypted; leave out --host to serve"
                " this machine alone"
            )
        ended: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
        with _told_of_ends(ended):
            say("Ctrl-C ends it")
            return await ended
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def _told_of_ends(ended: "asyncio.Future[signal.Signals]") -> Iterator[None]:
    """Inside of it, `ended` gets the first signal that ends the server."""
    loop, before = asyncio.get_running_loop(), {}

    def end(number: signal.Signals) -> None:
        if not ended.done():
            ended.set_result(number)

    # In threads but the main one, and on Windows, Ctrl-C cancels the server.
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
        for number in _ENDS:
            handler = signal.getsignal(number)
            loop.add_signal_handler(number, end, number)
            before[number] = handler
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)  # asyncio leaves the system's own.


def _why(error: OSError | ValueError, host: str, port: int) -> str:
    reason = (getattr(error, "strerror", None) or "it is no name of a machine").lower()
    if "in use" in reason:
        return f"--port: {port} is in use on {host}; choose another one, or 0 for a free one"
    if isinstance(error, PermissionError):
        return f"--port: {port} is not allowed here; choose one from 1024, or 0 for a free one"
    return f"--host: {host} cannot be served here ({reason}); choose an address of this machine"
