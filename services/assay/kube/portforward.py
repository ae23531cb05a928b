"""A port of a pod, reached through the API server: whoever connects to a socket here talks to the pod.

The command line reaches the services with it, since gRPC does not pass the API server's service proxy. It
is asyncio, unlike the rest of this room, because what runs over it is. Every connection to the socket is a
WebSocket of its own (`v4.channel.k8s.io`, which every kubelet speaks), to a pod that is looked for anew:
a client that reconnects by itself, as gRPC does, needs nothing else when a pod is replaced. The protocol
knows no half-closed connection: whoever ends one way ends both.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from assay.domain.errors import AssayError, PermanentError, UnavailableError
from assay.kube.access import Access
from assay.kube.refusals import Request, refusal
from assay.kube.resources import PODS

PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PORT_BYTES = 2
"""Each channel begins with the port's number."""

_CHUNK_BYTES = 1 << 16
_HANDSHAKE_SECONDS = 15.0
_HEARTBEAT_SECONDS = 20.0
"""A path that went dead without a word is noticed within one and a half of them."""

_CLOSE_SECONDS = 2.0
_UNAUTHENTICATED = 401
_Socket = aiohttp.ClientWebSocketResponse


@dataclass(frozen=True)
class Target:
    """Which pod's port.

    Attributes:
        namespace: of the pod.
        find: names a pod that can be reached now; may block, and raises errors of ours where there is none.
        port: of it.
    """

    namespace: str
    find: Callable[[], str]
    port: int


class PortForward:
    """The socket and its connections; made by `port_forward`."""

    def __init__(
        self, access: Access, target: Target, session: aiohttp.ClientSession
    ) -> None:
        self._access = access
        self._target = target
        self._session = session
        self._spare: _Socket | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self.problem: AssayError | None = None
        """Why the last connection could not be had, or broke; None: it stands, or was closed."""

    async def dial(self) -> None:
        """Connects to the pod before anybody asks: what is wrong is known at once, and in plain words.

        Raises:
            UnavailableError: the API server, the kubelet or the pod cannot be reached now.
            NotFoundError, UnauthenticatedError, PermissionDeniedError, PermanentError: as they refuse.
        """
        self._spare = await self._connect()

    def accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serves one connection of a client, from its first byte to its last."""
        # Not by asyncio's own task: that one reports a cancelled connection as a mistake.
        task = asyncio.create_task(self._serve(reader, writer), name="port-forward")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            socket, self._spare = self._spare, None
            if socket is None or socket.closed:
                socket = await self._connect()
            self.problem = None
            await self._carry(socket, reader, writer)
        except AssayError as error:
            # The client sees a closed connection; whoever made the call asks for the reason here.
            self.problem = error
        finally:
            writer.close()

    async def close(self) -> None:
        """Ends all connections."""
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._spare is not None:
            await self._spare.close()

    async def _connect(self) -> _Socket:
        pod = await asyncio.to_thread(self._target.find)
        what = Request("create", PODS, self._target.namespace, pod, "portforward")
        renewed = False
        while True:
            try:
                async with asyncio.timeout(_HANDSHAKE_SECONDS):
                    return await self._handshake(what)
            except aiohttp.WSServerHandshakeError as error:
                expired = error.status == _UNAUTHENTICATED and not renewed
                renewed = True
                if expired and await asyncio.to_thread(self._access.credentials.renew):
                    continue
                raise refusal(what, error.status, error.message.encode()) from error
            except (aiohttp.ClientError, OSError) as error:
                raise _silent(what, error) from error

    async def _handshake(self, what: Request) -> _Socket:
        access = self._access
        path = what.resource.path(what.namespace, what.name, what.subresource)
        told = await asyncio.to_thread(access.credentials.authorization)
        socket = await self._session.ws_connect(
            f"{access.server}{path}?ports={self._target.port}",
            protocols=(PROTOCOL,),
            headers={"Authorization": told} if told else {},
            ssl=access.tls if access.tls is not None else True,
            server_hostname=access.tls_name,
            proxy=access.proxy,
            heartbeat=_HEARTBEAT_SECONDS,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
            max_msg_size=0,
        )
        if socket.protocol != PROTOCOL:
            await socket.close()
            raise PermanentError(
                f"cannot {what}: {access.server} does not speak {PROTOCOL}",
                cure="see that what stands before the API server lets WebSockets pass",
            )
        return socket

    async def _carry(
        self,
        socket: _Socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Moves bytes both ways until either side ends."""
        out = asyncio.create_task(_send(reader, socket), name="port-forward out")
        back = asyncio.create_task(
            self._receive(socket, writer), name="port-forward back"
        )
        try:
            await asyncio.wait({out, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in (out, back) if task.done()]
            for task in (out, back):
                task.cancel()
            await asyncio.gather(out, back, return_exceptions=True)
            await socket.close()
        for task in ended:
            task.result()

    async def _receive(self, socket: _Socket, writer: asyncio.StreamWriter) -> None:
        begun: set[int] = set()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel not in begun:
                begun.add(channel)
                data = data[_PORT_BYTES:]
            if channel == _ERROR and data:
                raise UnavailableError(
                    f"the port {self._target.port} of the pod cannot be reached: "
                    f"{data.decode(errors='replace').strip()}",
                    cure="see whether the pod still runs: kubectl get pods",
                )
            if channel == _DATA and data:
                writer.write(data)
                await writer.drain()
        if (error := socket.exception()) is not None:
            raise UnavailableError(f"the port-forward broke: {error}") from error


async def _send(reader: asyncio.StreamReader, socket: _Socket) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await socket.send_bytes(bytes((_DATA,)) + data)


def _silent(what: Request, error: Exception) -> UnavailableError:
    why = str(error) or type(error).__name__
    return UnavailableError(
        f"cannot {what}: {why}",
        cure="see that the API server and the pod's node are up and reach each other",
    )


@asynccontextmanager
async def port_forward(
    access: Access, target: Target
) -> AsyncIterator[tuple[str, PortForward]]:
    """A socket of this user alone that leads to a pod, as gRPC names it, for as long as the context lasts.

    Raises:
        UnavailableError, NotFoundError, UnauthenticatedError, PermissionDeniedError, PermanentError: the
            first connection cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="assay-") as folder:
        path = Path(folder) / "pod"
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            forward = PortForward(access, target, session)
            await forward.dial()
            server = await asyncio.start_unix_server(forward.accept, path)
            try:
                yield f"unix:{path}", forward
            finally:
                server.close()
                await forward.close()
