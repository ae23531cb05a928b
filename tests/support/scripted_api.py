"""An API server on loopback that misbehaves as it is told, over real HTTP.

For what a real API server cannot be made to do: forgetting versions, throttling, failing, cutting a line
in the middle, saying nothing, ending each watch at once.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from assay.kube.access import Access
from assay.kube.api import KubeApi
from assay.kube.transport import Timeouts, Transport

WAIT_SECONDS = 30.0
AMPLE = Timeouts(5, 10, 20)


@dataclass(frozen=True)
class Seen:
    """A request as it came in."""

    kind: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any = None


Answer = Callable[["Handler", Seen], None]


class ScriptedApi(ThreadingHTTPServer):
    """Answers each kind of request (`list`, `watch`, or the HTTP method) from its own script."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scripts: dict[str, list[Answer]] = defaultdict(list)
        self.seen: list[Seen] = []
        self.changed = threading.Condition()
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def on(self, kind: str, *answers: Answer) -> None:
        """What is answered, one after the other; the last for ever."""
        self.scripts[kind] = list(answers)

    def asked(self, kind: str) -> list[Seen]:
        with self.changed:
            return [seen for seen in self.seen if seen.kind == kind]

    def await_asked(self, kind: str, count: int) -> list[Seen]:
        """Returns once `count` requests of a kind have come."""
        with self.changed:
            enough = self.changed.wait_for(
                lambda: sum(s.kind == kind for s in self.seen) >= count, WAIT_SECONDS
            )
        assert enough, f"only {len(self.asked(kind))} requests to {kind}"
        return self.asked(kind)

    def take(self, seen: Seen) -> Answer:
        with self.changed:
            self.seen.append(seen)
            self.changed.notify_all()
            script = self.scripts[seen.kind]
            return script.pop(0) if len(script) > 1 else script[0]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedApi

    def answer(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        words = parts.path.partition("/namespaces/")[2].split("/")
        kind = "watch" if "watch" in query else self.command
        # Namespace and kind alone: the collection.
        kind = "list" if kind == "GET" and len(words) == 2 else kind
        headers = {key.lower(): value for key, value in self.headers.items()}
        seen = Seen(kind, parts.path, query, headers, body)
        self.server.take(seen)(self, seen)

    do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing."""

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def drop(self) -> None:
        self.close_connection = True


def gives(body: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""

    def answer(handler: Handler, _seen: Seen) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        handler.head(status, {"content-length": str(len(data)), **named})
        handler.wfile.write(data)

    return answer


def refuses(code: int, message: str = "no", **headers: str) -> Answer:
    """A refusal in the API's own words."""
    return gives({"kind": "Status", "code": code, "message": message}, code, **headers)


@dataclass(frozen=True)
class Streams:
    """A watch: its events, and then its end.

    `then` is `end`, `cut` (in the middle of a line), or `silence` (until the server closes).
    """

    events: tuple[dict[str, Any], ...] = ()
    then: str = "end"

    def __call__(self, handler: Handler, _seen: Seen) -> None:
        handler.head(200, {"transfer-encoding": "chunked"})
        for event in self.events:
            handler.chunk(json.dumps(event).encode() + b"\n")
        if self.then == "end":
            handler.wfile.write(b"0\r\n\r\n")
        elif self.then == "cut":
            handler.chunk(b'{"type":"MODIFIED","object":{"metadata":{"na')
            handler.drop()
        else:
            handler.server.closing.wait(WAIT_SECONDS)
            handler.drop()


def streams(*events: dict[str, Any], then: str = "end") -> Streams:
    """A watch: its events, and then its end."""
    return Streams(events, then)


def thing(name: str, version: int, uid: str = "", **fields: Any) -> dict[str, Any]:
    """An object of one namespace."""
    metadata = {"name": name, "namespace": "eval", "uid": uid or f"uid-{name}"}
    return {"metadata": {**metadata, "resourceVersion": str(version)}, **fields}


def page(version: int, *items: dict[str, Any], more: str = "") -> dict[str, Any]:
    """A list, or a part of one."""
    metadata = {"resourceVersion": str(version), "continue": more}
    return {"metadata": metadata, "items": list(items)}


def event(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """A line of a watch."""
    return {"type": kind, "object": item}


@dataclass
class FixedToken:
    """Credentials that a test changes."""

    tokens: list[str] = field(default_factory=lambda: ["old"])

    def authorization(self) -> str:
        return f"Bearer {self.tokens[0]}"

    def renew(self) -> bool:
        if len(self.tokens) == 1:
            return False
        del self.tokens[0]
        return True


class SteppedTime(threading.Event):
    """A stop signal whose waits take no time: they only move its clock, up to an end."""

    def __init__(self, until: float = float("inf")) -> None:
        super().__init__()
        self.now = 0.0
        self.waits: list[float] = []
        self._until = until

    def clock(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        self.now += timeout or 0.0
        if self.now >= self._until:
            self.set()
        return self.is_set()


@contextmanager
def scripted_api() -> Iterator[ScriptedApi]:
    """Starts one and ends it with its open watches."""
    server = ScriptedApi()
    thread = threading.Thread(
        target=server.serve_forever, args=(0.02,), name="scripted-api"
    )
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join(WAIT_SECONDS)
        server.server_close()


def access_to(server: ScriptedApi, *tokens: str) -> Access:
    """The way to one."""
    return Access(server.address, "eval", FixedToken(list(tokens or ("old",))))


def api_to(
    server: ScriptedApi,
    *tokens: str,
    timeouts: Timeouts = AMPLE,
    **options: Any,
) -> KubeApi:
    """The adapter over it."""
    return KubeApi(Transport(access_to(server, *tokens), timeouts=timeouts, **options))
