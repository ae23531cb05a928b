"""Channels to our services: token on every call, keepalive matched to the server's, one message cap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from assay.process.contract import ChannelTls
from assay.rpc.callers import TokenSource
from assay.rpc.server import MESSAGE_CAP_BYTES
from assay.rpc.tls import channel_credentials

_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_CAP_BYTES),
    ("grpc.max_send_message_length", MESSAGE_CAP_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A proxy named in the environment must never see loopback or in-cluster calls.
    ("grpc.enable_http_proxy", 0),
)


class _UnaryToken(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Any, details: Any, request: Any
    ) -> Any:
        return await continuation(_with_token(details, self._token), request)


class _UnaryStreamToken(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def intercept_unary_stream(
        self, continuation: Any, details: Any, request: Any
    ) -> Any:
        return await continuation(_with_token(details, self._token), request)


class _StreamStreamToken(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, token: TokenSource) -> None:
        self._token = token

    async def intercept_stream_stream(
        self, continuation: Any, details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(_with_token(details, self._token), request_iterator)


def _with_token(details: Any, token: TokenSource) -> Any:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("authorization", f"Bearer {token()}")
    return details._replace(metadata=metadata)


@asynccontextmanager
async def open_channel(
    address: str, token: str | TokenSource, tls: ChannelTls | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that carries a token on every call; connects lazily and reconnects by itself.

    Raises:
        ConfigError: the authority's file cannot be read.
    """
    source = (lambda: token) if isinstance(token, str) else token
    interceptors = (
        _UnaryToken(source),
        _UnaryStreamToken(source),
        _StreamStreamToken(source),
    )
    if tls is None:
        made = grpc.aio.insecure_channel(
            address, options=_OPTIONS, interceptors=interceptors
        )
    else:
        name = tls.server_name
        named = (("grpc.ssl_target_name_override", name),) if name else ()
        made = grpc.aio.secure_channel(
            address,
            channel_credentials(tls),
            options=(*_OPTIONS, *named),
            interceptors=interceptors,
        )
    async with made as channel:
        yield channel
