"""The engine for a remote endpoint that speaks OpenAI's chat completions, over pooled connections.

One `ask` is one HTTP request: how often and when to ask again is the lease loop's decision. Proxies
named in the environment are not used, redirects are not followed, no cookie is kept, and nothing an
endpoint sends can take more memory or time than the caps here.
"""

from __future__ import annotations

import asyncio
import errno
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import aiohttp
from yarl import URL

from assay.domain.run import Model
from assay.domain.sample import UnscoredReason
from assay.worker.engines.body import BodyBuilder, Content, Exchange, request_headers
from assay.worker.engines.canary import CANARY_PICTURE, CANARY_TEXT
from assay.worker.engines.outcome import (
    AttemptFailure,
    EndpointFailure,
    Outcome,
    bad_response,
    outcome_of,
)

RESPONSE_CAP_BYTES = 8 * 1024 * 1024
"""A larger body is no answer to a question about a picture; it must also fit a commit message."""

CONNECT_SECONDS = 8.0
_UPSTREAM_TIMEOUT_FACTOR = 1.1
_KEEPALIVE_SECONDS = 4.0
"""Idle connections are dropped before common servers drop them (5 s): else requests meet a closed one."""
_READ_BUFFER_BYTES = 256 * 1024
_AIOHTTP_LARGE_BYTES = 1024 * 1024
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request: what it came to, and the seconds from connect to last byte."""

    outcome: Outcome
    latency: float


class OpenAIEngine:
    """Asks one model at one endpoint; `open` before use, `close` after."""

    def __init__(
        self,
        model: Model,
        api_key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._builder = BodyBuilder(model)
        self._headers = request_headers(model, api_key)
        self._url = URL(model.endpoint.api_base)
        self.address = str(self._url.with_query(None).with_user(None))
        self._key = api_key
        self._clock = clock
        self._timeout = aiohttp.ClientTimeout(
            total=model.endpoint.timeout * _UPSTREAM_TIMEOUT_FACTOR,
            sock_connect=connect_seconds,
        )
        self._connections = model.nproc
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Makes the connection pool; connects to nothing yet."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                # The loop keeps to the in-flight limit; the pool must never be what queues requests.
                limit=0,
                keepalive_timeout=_KEEPALIVE_SECONDS,
                ttl_dns_cache=30,
            ),
            headers=self._headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER_BYTES,
            trust_env=False,
            auto_decompress=True,
        )

    async def close(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def build(self, content: Content, earlier: Sequence[Exchange] = ()) -> bytes:
        """The body that asks about `content`, after `earlier` turns; safe to call from any thread."""
        return self._builder.build(content, earlier)

    def canary(self, *, with_picture: bool) -> bytes:
        """The body of a request that any working endpoint answers."""
        pictures = (CANARY_PICTURE,) if with_picture else ()
        return self._builder.build((*pictures, CANARY_TEXT))

    async def reach(self, connections: int) -> EndpointFailure | None:
        """Opens `connections` connections into the pool; says why where not even one can be had."""
        opened = await asyncio.gather(*(self._connect() for _ in range(connections)))
        failures = [failure for failure in opened if failure is not None]
        return failures[0] if failures and len(failures) == connections else None

    async def _connect(self) -> EndpointFailure | None:
        session = self._require_session()
        request = aiohttp.ClientRequest(
            "POST", self._url, loop=asyncio.get_running_loop()
        )
        assert session.connector is not None
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
                connection = await session.connector.connect(request, [], self._timeout)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            failure = self._of_exception(error)
            if isinstance(failure, EndpointFailure):
                return failure
            if isinstance(error, TimeoutError):
                return self._endpoint_failure("connect_timeout", "")
            return None
        connection.release()
        return None

    async def ask(self, body: bytes) -> Attempt:
        """Makes one request; whatever happens comes back as an outcome."""
        started = self._clock()
        try:
            outcome = await self._request(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            outcome = self._of_exception(error)
        return Attempt(
            outcome=self._without_key(outcome), latency=self._clock() - started
        )

    async def _request(self, body: bytes) -> Outcome:
        # aiohttp writes small bytes at once; larger ones it wants as a stream, and yields in between.
        data = body if len(body) <= _AIOHTTP_LARGE_BYTES else io.BytesIO(body)
        async with self._require_session().post(
            self._url, data=data, allow_redirects=False
        ) as response:
            answer = await _read_capped(response)
            if answer is None:
                response.close()
                return replace(
                    bad_response(f"a body of more than {RESPONSE_CAP_BYTES} bytes"),
                    permanent=True,
                )
            return outcome_of(self.address, response.status, response.headers, answer)

    def _of_exception(self, error: Exception) -> Outcome:
        word = _connecting_word(error)
        if word is not None:
            detail = getattr(error, "os_error", None) or error
            return self._endpoint_failure(word, str(detail))
        if isinstance(error, TimeoutError):
            seconds = self._timeout.total
            return AttemptFailure(
                reason=UnscoredReason.TIMEOUT,
                message=f"no complete answer within {seconds:g} s; raise `timeout`, or lower `nproc`",
                kind="time-out",
            )
        if isinstance(error, aiohttp.ClientResponseError):
            return bad_response(f"not HTTP: {error.message}")
        return AttemptFailure(
            reason=UnscoredReason.SERVER_ERROR,
            message=f"the connection was cut ({type(error).__name__}: {error})"[:500],
            kind="connection cut",
        )

    def _endpoint_failure(self, reason: str, detail: str) -> EndpointFailure:
        what, cure = _CONNECTING[reason]
        because = f" ({detail})" if detail else ""
        return EndpointFailure(
            reason=reason,
            message=f"the endpoint {self.address} {what}{because}; {cure}",
            connected=False,
        )

    def _without_key(self, outcome: Outcome) -> Outcome:
        # Servers like to quote the key they reject.
        if isinstance(outcome, AttemptFailure | EndpointFailure) and (
            len(self._key) >= _SHORTEST_SECRET and self._key in outcome.message
        ):
            message = outcome.message.replace(self._key, "[redacted]")
            return replace(outcome, message=message)
        return outcome

    def _require_session(self) -> aiohttp.ClientSession:
        assert self._session is not None, "the engine is not open"
        return self._session


_CONNECTING = {
    "connection_refused": (
        "refused the connection",
        "start the server, or correct `api_base`",
    ),
    "unreachable": ("cannot be reached", "look at the network, or correct `api_base`"),
    "connect_timeout": (
        "did not accept a connection in time",
        "look at the network (a firewall drops packets silently), or correct `api_base`",
    ),
    "dns": ("has a name that cannot be resolved", "correct the host in `api_base`"),
    "tls": (
        "does not speak TLS that can be trusted",
        "correct the scheme in `api_base`, or install the server's certificate authority",
    ),
    "invalid_address": ("is no usable address", "correct `api_base`"),
}


def _connecting_word(error: Exception) -> str | None:
    """Why no connection could be had; None: one was had."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout"
        case aiohttp.InvalidURL():
            return "invalid_address"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            refused = error.os_error.errno == errno.ECONNREFUSED
            return "connection_refused" if refused else "unreachable"
        case _:
            return None


async def _read_capped(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None where it is larger than the cap; compressed bodies count unpacked."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > RESPONSE_CAP_BYTES:
            return None
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
