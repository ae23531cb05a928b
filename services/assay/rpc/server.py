"""Starts and stops a gRPC server with everything each of ours has: auth, errors, health, keepalive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from assay.domain.errors import UnavailableError
from assay.rpc.callers import Authenticator
from assay.rpc.interceptors import BoundaryInterceptor

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
    """A running server; `address` is where it listens."""

    def __init__(
        self, server: grpc.aio.Server, address: str, status: health.aio.HealthServicer
    ) -> None:
        self._server = server
        self.address = address
        self._health = status

    async def stop(self, grace: float) -> None:
        """Turns health to NOT_SERVING, lets calls in flight end within `grace` seconds, stops."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)

    async def wait(self) -> None:
        """Returns when the server has stopped."""
        await self._server.wait_for_termination()


async def serve(
    registrations: Sequence[Registration],
    *,
    listen: str,
    authenticator: Authenticator,
    with_reflection: bool = False,
) -> RpcServer:
    """Starts serving; port 0 takes a free one.

    Raises:
        UnavailableError: the address cannot be bound.
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
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        msg = f"cannot listen on {listen}: {error}"
        raise UnavailableError(
            msg, cure="another process has the port: wait or choose another"
        ) from error
    await server.start()
    host = listen.rsplit(":", 1)[0]
    return RpcServer(server, f"{host}:{port}", status)
