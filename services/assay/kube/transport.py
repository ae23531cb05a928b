"""Requests to the API server over HTTP: time-outs, throttling, credentials and the counting of calls.

`KubeApi` says what is asked; this knows how. Everything has a time-out: connecting, waiting for the next
bytes, and the whole of a request with its repetitions. A streaming answer may last, but not be silent.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.util import Timeout

from assay.domain.errors import UnavailableError
from assay.kube.access import Access
from assay.kube.allowance import Allowance
from assay.kube.refusals import Request, asked_to_wait, refusal, silence

_CHUNK_BYTES = 1 << 16
_LINE_BYTES = 1 << 24
"""An object in etcd has at most 1.5 MB; this keeps a broken server from filling our memory."""

_SHORTEST_WAIT = 0.2
_UNAUTHENTICATED = 401
_WAIT_AND_REPEAT = frozenset({429, 503})
_OK = range(200, 300)

# A peer that vanished without a word is noticed within a minute, as client-go does it.
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
if hasattr(socket, "TCP_KEEPIDLE"):
    _KEEPALIVE.append((socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30))


@dataclass(frozen=True)
class Timeouts:
    """Seconds.

    Attributes:
        connect: until a connection stands, TLS included.
        read: between two pieces of an answer.
        total: of a request with all its repetitions and the waits that the server asks for.
    """

    connect: float = 5.0
    read: float = 15.0
    total: float = 30.0


@dataclass(frozen=True)
class Call:
    """One HTTP request that was made.

    Attributes:
        verb: in RBAC's words.
        resource: such as `jobs.batch`, with `/status` for a subresource.
        status: of the answer; 0: there was none.
        seconds: until the answer's head was there.
    """

    verb: str
    resource: str
    status: int
    seconds: float


@dataclass(frozen=True)
class _Message:
    """What goes over the wire for a request."""

    method: str
    query: Mapping[str, str]
    body: bytes | None = None
    content_type: str = ""


def unheard(_call: Call) -> None:
    """Counts nothing."""


class Transport:
    """Connections to one API server; safe to use from many threads."""

    def __init__(
        self,
        access: Access,
        *,
        on_call: Callable[[Call], None] = unheard,
        timeouts: Timeouts = Timeouts(),
        allowance: Allowance | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Connects to nothing yet.

        Args:
            access: where, and as whom.
            on_call: told of each HTTP request, for metrics.
            timeouts: of each request.
            allowance: how fast it may ask; None: 20 a second after a burst of 30.
            stop: ends waits; None: nothing does.
        """
        self._access = access
        self._on_call = on_call
        self._timeouts = timeouts
        self._allowance = allowance or Allowance()
        self._stop = stop or threading.Event()
        self._agent = f"assay/{version('assay')}"
        self._pool = access.pool(
            retries=False,
            maxsize=16,
            socket_options=[*HTTPConnection.default_socket_options, *_KEEPALIVE],
        )

    def ask(
        self,
        request: Request,
        method: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """The answer to a request.

        A throttling server is asked again when it says so; newer credentials, if there are any, are tried
        once. Nothing else is repeated: whether to ask again after a failure is the caller's to know.

        Args:
            request: what is asked, for addresses and messages.
            method: of HTTP.
            query: of the address.
            body: to send; None: nothing.
            content_type: of the body.

        Raises:
            UnavailableError: no answer in time, or a server error, or still throttled at the end.
            GoneError: the version asked for is forgotten.
            NotFoundError, ConflictError, UnauthenticatedError, PermissionDeniedError, PermanentError: as
                the server refuses.
        """
        until = time.monotonic() + self._timeouts.total
        message = _Message(method, query or {}, body, content_type)
        renewed = False
        while True:
            left = max(0.001, until - time.monotonic())
            answer = self._send(request, message, min(self._timeouts.read, left))
            data = self._body(request, answer, until)
            if answer.status in _OK:
                return data
            if answer.status == _UNAUTHENTICATED and not renewed:
                renewed = True
                if self._access.credentials.renew():
                    continue
            wait = asked_to_wait(data, answer.headers.get("retry-after"))
            error = refusal(request, answer.status, data, wait)
            if wait is None or answer.status not in _WAIT_AND_REPEAT:
                raise error
            wait = max(wait, _SHORTEST_WAIT)
            if time.monotonic() + wait >= until or self._stop.wait(wait):
                raise error

    def stream(
        self,
        request: Request,
        query: Mapping[str, str],
        patience: float,
        *,
        is_text: bool = False,
    ) -> Lines:
        """An answer that comes line by line for as long as it lasts.

        Args:
            request: what is asked.
            query: of the address.
            patience: seconds without a byte after which it counts as broken.
            is_text: what is left over at the end is a line, too, and not a message that was cut.

        Raises:
            UnavailableError, GoneError, NotFoundError, UnauthenticatedError, PermissionDeniedError,
                PermanentError: as `ask`; a throttling server is not asked again.
        """
        # A watch begins with its head at once; a log, with its first line.
        begins = patience if is_text else self._timeouts.read
        answer = self._send(request, _Message("GET", query), begins)
        if answer.status in _OK:
            _be_patient(answer, patience)
            return Lines(request, answer, self._access.server, is_text=is_text)
        data = self._body(request, answer, time.monotonic() + self._timeouts.total)
        if answer.status == _UNAUTHENTICATED:
            # The next attempt, after the caller's wait, has what is newer.
            self._access.credentials.renew()
        wait = asked_to_wait(data, answer.headers.get("retry-after"))
        raise refusal(request, answer.status, data, wait)

    def close(self) -> None:
        """Gives idle connections up."""
        self._pool.clear()

    def _send(
        self, request: Request, message: _Message, read: float
    ) -> urllib3.BaseHTTPResponse:
        path = request.resource.path(
            request.namespace, request.name, request.subresource
        )
        query = f"?{urlencode(message.query)}" if message.query else ""
        if wait := self._allowance.take():
            self._stop.wait(wait)
        start = time.monotonic()
        status = 0
        try:
            answer = self._pool.request(
                message.method,
                f"{self._access.server}{path}{query}",
                body=message.body,
                headers=self._headers(message),
                timeout=Timeout(connect=self._timeouts.connect, read=read),
                preload_content=False,
                # A redirect would take the token elsewhere.
                redirect=False,
            )
            status = answer.status
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise silence(request, self._access.server, error) from error
        finally:
            self._count(request, status, time.monotonic() - start)
        return answer

    def _headers(self, message: _Message) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": self._agent}
        if message.body is not None:
            headers["Content-Type"] = message.content_type
        if authorization := self._access.credentials.authorization():
            headers["Authorization"] = authorization
        return headers

    def _count(self, request: Request, status: int, seconds: float) -> None:
        part = f"/{request.subresource}" if request.subresource else ""
        self._on_call(Call(request.verb, f"{request.resource}{part}", status, seconds))

    def _body(
        self, request: Request, answer: urllib3.BaseHTTPResponse, until: float
    ) -> bytes:
        """The whole answer, unless it takes longer than the request may."""
        pieces = []
        try:
            # By single reads: one that is to be filled never looks at the clock.
            while piece := answer.read1(_CHUNK_BYTES):
                pieces.append(piece)
                if time.monotonic() >= until:
                    answer.close()
                    raise UnavailableError(
                        f"cannot {request}: the answer takes longer than {self._timeouts.total:g} s"
                    )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            answer.close()
            raise silence(request, self._access.server, error) from error
        answer.release_conn()
        return b"".join(pieces)


def _be_patient(answer: Any, seconds: float) -> None:
    """Gives a stream that has begun another time-out than its beginning had."""
    connection = answer.connection
    # Already ended: there is nothing to wait for.
    if connection is not None and connection.sock is not None:
        connection.sock.settimeout(seconds)


class Lines:
    """A streaming answer; one thread reads, any thread may close."""

    def __init__(
        self, request: Request, answer: Any, server: str, *, is_text: bool = False
    ) -> None:
        self._request = request
        self._answer = answer
        self._server = server
        self._is_text = is_text
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        """Whole lines as they come; ends when the server ends the stream or `close` was called.

        Raises:
            UnavailableError: silent for too long, cut, or no lines at all.
        """
        tail = b""
        while piece := self._read():
            *whole, tail = (tail + piece).split(b"\n")
            yield from (line for line in whole if line)
            if len(tail) > _LINE_BYTES:
                raise UnavailableError(
                    f"cannot {self._request}: a line longer than {_LINE_BYTES} bytes"
                )
        if tail and self._is_text:
            yield tail

    def close(self) -> None:
        """Ends it, waking the thread that waits for a line."""
        self._closed.set()
        try:
            self._answer.shutdown()
        except (ValueError, RuntimeError, OSError):
            return  # It had ended by itself.

    def give_up(self) -> None:
        """Frees the connection; called by the thread that reads, when it is done."""
        self._closed.set()
        self._answer.close()

    def _read(self) -> bytes:
        if self._closed.is_set():
            return b""
        try:
            return self._answer.read1(_CHUNK_BYTES) or b""
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if self._closed.is_set():
                return b""
            raise silence(self._request, self._server, error) from error
        except AttributeError:
            # `close` takes a TLS connection apart while this thread may be between two of its steps.
            if self._closed.is_set():
                return b""
            raise
