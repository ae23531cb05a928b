"""Starts and stops a gRPC server with everything each of ours has: auth, errors, health, keepalive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from assay.domain.errors import UnavailableError
from assay.process.contract import ServerTls
from assay.rpc.callers import Authenticator
from assay.rpc.interceptors import BoundaryInterceptor
from assay.rpc.tls import server_credentials

MESSAGE_CAP_BYTES = 16 * 1024 * 1024
"""Larger messages are refused on both sides: bulk data travels by reference."""

_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_CAP_BYTES),
    ("grpc.max_send_message_length", MESSAGE_CAP_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Without this two processes could both "bind" one port and share its calls.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True)
class Registration:
    """One service to serve: its full name and the call that adds it to a server."""

    full_name: str
    add: Callable[[grpc.aio.Server], None]


class RpcServer:
    """A running server; `address` is where it listens, `health_address` where health is told without TLS."""

    def __init__(
        self,
        server: grpc.aio.Server,
        address: str,
        status: health.aio.HealthServicer,
        beside: grpc.aio.Server | None = None,
        health_address: str = "",
    ) -> None:
        self._servers = [server] if beside is None else [server, beside]
        self.address = address
        self.health_address = health_address or address
        self._health = status

    async def stop(self, grace: float) -> None:
        """Turns health to NOT_SERVING, lets calls in flight end within `grace` seconds, stops."""
        await self._health.enter_graceful_shutdown()
        for server in self._servers:
            await server.stop(grace)

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        await self._servers[0].wait_for_termination()


async def serve(
    registrations: Sequence[Registration],
    *,
    listen: str,
    authenticator: Authenticator,
    tls: ServerTls | None = None,
    with_reflection: bool = False,
) -> RpcServer:
    """Starts serving; port 0 takes a free one.

    Raises:
        ConfigError: the certificate cannot be read.
        UnavailableError: an address cannot be bound.
    """
    server = grpc.aio.server(
        interceptors=(BoundaryInterceptor(authenticator),), options=_OPTIONS
    )
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    for registration in registrations:
        registration.add(server)
        await status.set(registration.full_name, health_pb2.HealthCheckResponse.SERVING)
    await status.set("", health_pb2.HealthCheckResponse.SERVING)
    if with_reflection:
        names = [registration.full_name for registration in registrations]
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server)
    if tls is None:
        address = _bind(server, listen)
        await server.start()
        return RpcServer(server, address, status)
    address = _bind(server, listen, server_credentials(tls))
    await server.start()
    if not tls.health_listen:
        return RpcServer(server, address, status)
    beside = grpc.aio.server(options=_OPTIONS)
    health_pb2_grpc.add_HealthServicer_to_server(status, beside)
    told = _bind(beside, tls.health_listen)
    await beside.start()
    return RpcServer(server, address, status, beside, told)


def _bind(
    server: grpc.aio.Server,
    listen: str,
    credentials: grpc.ServerCredentials | None = None,
) -> str:
    """Where the server will listen."""
    try:
        if credentials is None:
            port = server.add_insecure_port(listen)
        else:
            port = server.add_secure_port(listen, credentials)
    except RuntimeError as error:
        msg = f"cannot listen on {listen}: {error}"
        raise UnavailableError(
            msg, cure="another process has the port: wait or choose another"
        ) from error
    host = listen.rsplit(":", 1)[0]
    return f"{host}:{port}"
