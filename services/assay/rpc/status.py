"""The only place where errors become gRPC statuses and statuses become errors again.

`google.rpc.ErrorInfo` carries the class's `reason` (domain `assay.dev`) and, as metadata, the cure and
`retry_after`. An error that is not ours becomes INTERNAL without detail: its text may hold secrets.
"""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from assay.domain.errors import (
    AssayError,
    ConfigError,
    PermanentError,
    TransientError,
    UnavailableError,
    error_classes,
)

ERROR_DOMAIN = "assay.dev"

_RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
    }
)


def status_of(error: AssayError) -> grpc.Status:
    """The rich status of one of our errors."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=ERROR_DOMAIN)
    if error.cure:
        info.metadata["cure"] = error.cure
    if isinstance(error, TransientError) and error.retry_after is not None:
        info.metadata["retry_after"] = f"{error.retry_after:.3f}"
    if isinstance(error, ConfigError):
        info.metadata["path"] = error.path
        info.metadata["why"] = error.why
    detail = any_pb2.Any()
    detail.Pack(info)
    code = grpc.StatusCode[error.code]
    status: grpc.Status = rpc_status.to_status(
        status_pb2.Status(code=code.value[0], message=error.message, details=[detail])
    )
    return status


def error_of(failure: grpc.RpcError, attempted: str) -> AssayError:
    """Turns a failed call back into the error the other side raised.

    Args:
        failure: what the call raised.
        attempted: what we were doing, for messages of failures that never reached the other side.
    """
    status = rpc_status.from_call(failure)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == ERROR_DOMAIN:
            return _rebuild(info, status.message)
    code = failure.code()
    text = f"{attempted}: {code.name}: {failure.details()}"
    if code in _RETRYABLE:
        return UnavailableError(text)
    return PermanentError(text)


def _rebuild(info: error_details_pb2.ErrorInfo, message: str) -> AssayError:
    cls = error_classes().get(info.reason, PermanentError)
    if issubclass(cls, ConfigError):
        return cls(info.metadata["path"], info.metadata["why"], info.metadata["cure"])
    cure = info.metadata.get("cure")
    if issubclass(cls, TransientError):
        told = info.metadata.get("retry_after")
        return cls(message, cure=cure, retry_after=float(told) if told else None)
    return cls(message, cure=cure)
