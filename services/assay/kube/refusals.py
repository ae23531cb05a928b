"""What the API server's refusals and silences mean, in our errors: each names the object and the cure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from assay.domain.errors import (
    AssayError,
    ConflictError,
    NotFoundError,
    PermanentError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from assay.kube.objects import Status
from assay.kube.resources import Resource

_TEXT_BYTES = 500
_TOO_MANY = 429
_CLIENT_ERROR = 400
_SERVER_ERROR = 500


class GoneError(Exception):
    """The version that a list or a watch wants to go on from is forgotten; never leaves this room."""


@dataclass(frozen=True)
class Request:
    """What is asked of the API server, in RBAC's words.

    Attributes:
        verb: get, list, watch, create, update, patch or delete.
        resource: the kind of object.
        namespace: None: over all of them, or a kind that has none.
        name: empty: the collection.
        subresource: such as `status`.
    """

    verb: str
    resource: Resource
    namespace: str | None = None
    name: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        """Such as `patch jobs.batch/status demo-0 in namespace eval`."""
        part = f"/{self.subresource}" if self.subresource else ""
        name = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{part}{name}{self._place}"

    @property
    def _place(self) -> str:
        if not self.resource.namespaced:
            return ""
        return f" in namespace {self.namespace}" if self.namespace else " anywhere"

    @property
    def rule(self) -> str:
        """What RBAC has to grant."""
        part = f"/{self.subresource}" if self.subresource else ""
        return (
            f"the verb {self.verb} on {self.resource.plural}{part}"
            f' (apiGroup "{self.resource.group}"){self._place}'
        )


def refusal(
    request: Request, status: int, body: bytes, retry_after: float | None = None
) -> Exception:
    """The error for an answer that is no success.

    Args:
        request: what was asked.
        status: the HTTP code, or that of the Status object in a watch.
        body: of the answer.
        retry_after: seconds that the server asks us to wait.
    """
    told = _told(body)
    text = f"cannot {request}: {told.message or status}"
    if status == 410:  # noqa: PLR2004
        return GoneError(text)
    if status == _TOO_MANY or status >= _SERVER_ERROR or status < _CLIENT_ERROR:
        return UnavailableError(text, retry_after=retry_after)
    return _permanent(request, status, told, text)


def _permanent(
    request: Request, status: int, told: Status, text: str
) -> PermanentError:
    if status == 401:  # noqa: PLR2004
        return UnauthenticatedError(
            text, cure="renew the token or certificate of this caller"
        )
    if status == 403:  # noqa: PLR2004
        return PermissionDeniedError(
            text, cure=f"let a Role or ClusterRole grant this caller {request.rule}"
        )
    if status == 404:  # noqa: PLR2004
        return NotFoundError(text, cure=_installed(request, told))
    if status == 409:  # noqa: PLR2004
        return ConflictError(text)
    causes = (told.details.causes if told.details else None) or []
    fields = "; ".join(
        f"{cause.field}: {cause.message}" for cause in causes if cause.field
    )
    return PermanentError(text, cure=f"mend {fields}" if fields else None)


def _installed(request: Request, told: Status) -> str | None:
    """What to do about a kind that the server does not know: a missing object's answer names its kind."""
    if told.details is not None and told.details.kind:
        return None
    return f"install the definition of {request.resource} ({request.resource.version})"


def asked_to_wait(body: bytes, header: str | None) -> float | None:
    """Seconds that a refusal asks us to wait; None: it does not say."""
    if header is not None and header.strip().isdecimal():
        return float(header)
    details = _told(body).details
    return (
        float(details.retry_after_seconds)
        if details and details.retry_after_seconds
        else None
    )


def silence(request: Request, server: str, error: Exception) -> AssayError:
    """The error for no answer at all, or a broken one."""
    return UnavailableError(
        f"cannot {request}: no answer from the API server {server}: {error}",
        cure="see that it is up, that this network reaches it, and that it is the one meant",
    )


def _told(body: bytes) -> Status:
    """What the server said; a proxy before it says it in plain text."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.MsgspecError:
        text = body[:_TEXT_BYTES].decode(errors="replace").strip()
        return Status(message=text)
