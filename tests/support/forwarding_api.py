"""An API server on loopback that forwards ports as a real one does, and breaks off as it is told.

For what a real one cannot be made to do: refusing, speaking no WebSocket, losing a connection in the middle.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from assay.kube.access import Access

PROTOCOL = "v4.channel.k8s.io"


class Given:
    """Credentials of a test: the second token is better than the first."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens) or ["good"]

    def authorization(self) -> str:
        return f"Bearer {self._tokens[0]}"

    def renew(self) -> bool:
        if len(self._tokens) == 1:
            return False
        self._tokens.pop(0)
        return True


@dataclass
class ForwardingApi:
    """Forwards every pod's port to one on this machine.

    Attributes:
        pods: those that were asked for, in order.
        status: what a handshake is refused with; 0: it is not.
        protocols: the subprotocols it speaks.
        error: what the error channel says at once; empty: nothing.
        cut_after: bytes of one answer after which the connection is cut, once; 0: it is not.
        on_cut: called then.
    """

    target: int
    address: str = ""
    pods: list[str] = field(default_factory=list)
    status: int = 0
    protocols: tuple[str, ...] = (PROTOCOL,)
    error: str = ""
    cut_after: int = 0
    on_cut: Callable[[], None] = lambda: None
    sockets: list[web.WebSocketResponse] = field(default_factory=list)

    def access(self, *tokens: str) -> Access:
        return Access(self.address, "space", Given(*tokens))

    async def cut(self) -> None:
        """Breaks every connection off, as a lost node would."""
        for socket in self.sockets:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self.sockets.clear()

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """One WebSocket is one connection to the port."""
        self.pods.append(request.match_info["pod"])
        if request.headers.get("Authorization") != "Bearer good":
            return web.Response(status=401)
        if self.status:
            return web.Response(status=self.status)
        socket = web.WebSocketResponse(protocols=self.protocols)
        await socket.prepare(request)
        self.sockets.append(socket)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.target)
        back = asyncio.create_task(self._back(reader, socket, request.query["ports"]))
        try:
            async for message in socket:
                if message.type is WSMsgType.BINARY and message.data[0] == 0:
                    writer.write(message.data[1:])
        finally:
            back.cancel()
            writer.close()
            # Whoever was cut off hears nothing more; that is what is tried.
            with suppress(asyncio.CancelledError, ConnectionError):
                await back
        return socket

    async def _back(
        self, reader: asyncio.StreamReader, socket: web.WebSocketResponse, port: str
    ) -> None:
        for channel in (0, 1):
            head = bytes((channel,)) + struct.pack("<H", int(port))
            await socket.send_bytes(head)
        if self.error:
            await socket.send_bytes(b"\x01" + self.error.encode())
        sent = 0
        while data := await reader.read(65536):
            await socket.send_bytes(b"\x00" + data)
            sent += len(data)
            if 0 < self.cut_after < sent:
                self.cut_after = 0
                self.on_cut()
                await self.cut()
        await socket.close()


@asynccontextmanager
async def forwarding_api(target: int) -> AsyncIterator[ForwardingApi]:
    """One that listens on loopback, in front of a port there."""
    api = ForwardingApi(target)
    app = web.Application()
    path = "/api/v1/namespaces/space/pods/{pod}/portforward"
    app.router.add_get(path, api.forward)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.address = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """A server that says back what it hears; its port."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(
        lambda reader, writer: asyncio.ensure_future(echo(reader, writer)) and None,
        "127.0.0.1",
        0,
    )
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
