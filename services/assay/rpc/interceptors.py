"""What every call passes on the server: the token check, then the translation of errors."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog

from assay.domain.errors import AssayError, UnauthenticatedError
from assay.rpc.status import status_of

_log = structlog.get_logger(__name__)

Handler = Any

_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")
"""Health and reflection say nothing about a run; probes carry no token."""


class BoundaryInterceptor(grpc.aio.ServerInterceptor):
    """Checks the bearer token and turns exceptions into statuses, once, for all services."""

    def __init__(self, token: str) -> None:
        self._expected = f"Bearer {token}"

    async def intercept_service(
        self, continuation: Any, handler_call_details: grpc.HandlerCallDetails
    ) -> Any:
        """Wraps the handler of one method; gRPC calls this once per call."""
        details = handler_call_details
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN_SERVICES):
            return handler
        if not self._authorised(details):
            return _refusing(handler)
        return _translating(handler, details.method)

    def _authorised(self, details: grpc.HandlerCallDetails) -> bool:
        for key, value in details.invocation_metadata or ():
            if key == "authorization" and isinstance(value, str):
                return hmac.compare_digest(value.encode(), self._expected.encode())
        return False


async def _abort(context: Any, error: AssayError) -> None:
    await context.abort_with_status(status_of(error))


def _translating(handler: Handler, method: str) -> Handler:
    inner: Any = handler.unary_unary or handler.stream_unary
    stream: Any = handler.unary_stream or handler.stream_stream

    async def unary(request: Any, context: Any) -> Any:
        try:
            return await inner(request, context)
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
            async for response in stream(request, context):
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


def _refusing(handler: Handler) -> Handler:
    error = UnauthenticatedError("the call carries no valid token")

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
