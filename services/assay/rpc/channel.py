"""Channels to our services: token on every call, keepalive matched to the server's, one message cap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from assay.rpc.callers import TokenSource
from assay.rpc.server import MESSAGE_CAP_BYTES

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
    address: str, token: str | TokenSource
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel that carries a token on every call; connects lazily and reconnects by itself."""
    source = (lambda: token) if isinstance(token, str) else token
    interceptors = (
        _UnaryToken(source),
        _UnaryStreamToken(source),
        _StreamStreamToken(source),
    )
    async with grpc.aio.insecure_channel(
        address, options=_OPTIONS, interceptors=interceptors
    ) as channel:
        yield channel
