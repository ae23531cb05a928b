"""What every call passes on the server: who calls and whether it may, then the translation of errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog

from assay.domain.errors import AssayError
from assay.rpc.callers import Authenticator, Caller
from assay.rpc.status import status_of

_log = structlog.get_logger(__name__)

Handler = Any

_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Health and reflection say nothing about a run; probes carry no token."""


class BoundaryInterceptor(grpc.aio.ServerInterceptor):
    """Tells who calls, and turns exceptions into statuses, once, for all services."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def intercept_service(
        self, continuation: Any, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wraps the handler of one method; gRPC calls this once per call."""
        details = handler_call_details
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN_SERVICES):
            return handler
        try:
            caller = await self._authenticator.caller(_token_of(details))
            caller.check_method(details.method)
        except AssayError as error:
            return _refusing(handler, error)
        return _translating(handler, details.method, caller)


def _token_of(details: grpc.HandlerCallDetails) -> str:
    for key, value in details.invocation_metadata or ():
        if key == "authorization" and isinstance(value, str):
            return value.removeprefix("Bearer ")
    return ""


async def _abort(context: Any, error: AssayError) -> None:
    await context.abort_with_status(status_of(error))


def _translating(handler: Handler, method: str, caller: Caller) -> Handler:
    inner: Any = handler.unary_unary or handler.stream_unary
    stream: Any = handler.unary_stream or handler.stream_stream

    async def unary(request: Any, context: Any) -> Any:
        try:
            return await inner(_checked(caller, request), context)
        except AssayError as error:
            await _abort(context, error)
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001 - the boundary of a call; nothing leaks
            _log.exception("call failed", method=method)
            await _abort(
                context, AssayError(f"{method} failed inside; see the service's log")
            )

    async def streaming(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            async for response in stream(_checked(caller, request), context):
                yield response
        except AssayError as error:
            await _abort(context, error)
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001 - as above
            _log.exception("call failed", method=method)
            await _abort(
                context, AssayError(f"{method} failed inside; see the service's log")
            )

    return _rebuilt(handler, unary, streaming)


def _checked(caller: Caller, request: Any) -> Any:
    """The request, or the stream of them, each looked at before the service sees it."""
    if hasattr(request, "DESCRIPTOR"):
        caller.check_message(request)
        return request
    return _checked_stream(caller, request)


async def _checked_stream(
    caller: Caller, requests: AsyncIterator[Any]
) -> AsyncIterator[Any]:
    async for request in requests:
        caller.check_message(request)
        yield request


def _refusing(handler: Handler, error: AssayError) -> Handler:
    async def unary(_request: Any, context: Any) -> Any:
        await _abort(context, error)

    async def streaming(_request: Any, context: Any) -> AsyncIterator[Any]:
        await _abort(context, error)
        yield None

    return _rebuilt(handler, unary, streaming)


def _rebuilt(handler: Handler, unary: Any, streaming: Any) -> Handler:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[(bool(handler.request_streaming), bool(handler.response_streaming))]
    body = streaming if handler.response_streaming else unary
    return make(
        body,
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
