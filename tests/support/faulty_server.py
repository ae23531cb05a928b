"""A real HTTP server that serves one file and misbehaves as told, for the download tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PAGE = b"<!DOCTYPE html><title>Sign in</title>"


@dataclass
class FaultyServer:
    """Serves `content`; each entry of `faults` is used up by one request, then `always` counts.

    Faults: `cut:N` closes after N bytes of the body, `stall:N` goes silent after N bytes, `status:N`
    answers N, `refuse` closes at once, `no-range` ignores a Range header, `change` serves `other` from
    now on, `elsewhere` sends another range than asked for, `page` an HTML page of no HTML type,
    `redirect` leads to itself, `flip` spoils the last byte.

    Attributes:
        ranges: whether ranges are served at all.
        conditions: whether If-Range is understood.
        announce: the file's length as it is told, where that is a lie.
        told: whether the length is told at all; otherwise the end of the connection is the end.
        most: requests at a time; others are answered 429.
        sent: bytes of bodies.
    """

    content: bytes
    faults: list[str] = field(default_factory=list)
    always: str = ""
    other: bytes = b""
    etag: str = '"one"'
    modified: str = "Tue, 24 Nov 2026 00:00:00 GMT"
    content_type: str = "application/octet-stream"
    retry_after: str = ""
    ranges: bool = True
    conditions: bool = True
    announce: int | None = None
    told: bool = True
    most: int = 1000
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0
    at_once: int = 0
    url: str = ""

    async def handle(self, reader, writer):
        self.at_once += 1
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        self.requests.append(headers | {"target": head[0]})
        fault = self.faults.pop(0) if self.faults else self.always
        kind, _, number = fault.partition(":")
        if self.at_once > self.most:
            kind, number = "status", "429"
        match kind:
            case "refuse":
                return
            case "status":
                writer.write(self._plain(f"{number} Told", b""))
            case "redirect":
                writer.write(self._plain("302 Found", b"", f"Location: {self.url}/m"))
            case "page":
                writer.write(self._plain("200 OK", PAGE))
            case _:
                await self._file(kind, number, headers, reader, writer)
        await writer.drain()

    async def _file(self, kind, number, headers, reader, writer):
        if kind == "change":
            self.content, self.etag = self.other, '"two"'
            self.modified = "Wed, 25 Nov 2026 00:00:00 GMT"
        first, last = 0, len(self.content) - 1
        ranged = kind != "no-range" and self._may_range(headers)
        if ranged:
            low, _, high = headers["range"].removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high or last), last)
            if kind == "elsewhere":
                first += 1
        body = self.content[first : last + 1]
        if kind == "flip":
            body = body[:-1] + bytes([body[-1] ^ 1])
        writer.write(self._head(first, last, ranged=ranged))
        body = body[: int(number)] if kind in {"cut", "stall"} else body
        self.sent += len(body)
        writer.write(body)
        await writer.drain()
        if kind == "stall":
            await reader.read()  # until the other side has had enough

    def _may_range(self, headers):
        known = {self.etag, self.modified} - {""}
        same = not self.conditions or headers.get("if-range", self.etag) in known
        return self.ranges and "range" in headers and (same or not known)

    def _head(self, first, last, *, ranged):
        whole = self.announce or len(self.content)
        lines = [f"Content-Type: {self.content_type}", "Connection: close"]
        if self.etag:
            lines.append(f"ETag: {self.etag}")
        if self.modified:
            lines.append(f"Last-Modified: {self.modified}")
        if ranged:
            lines.append(f"Content-Range: bytes {first}-{last}/{whole}")
        if self.told:
            length = last - first + 1 if ranged else whole
            lines.append(f"Content-Length: {length}")
        status = "206 Partial Content" if ranged else "200 OK"
        return ("\r\n".join([f"HTTP/1.1 {status}", *lines]) + "\r\n\r\n").encode()

    def _plain(self, status, body, *lines):
        self.sent += len(body)
        if self.retry_after:
            lines = (*lines, f"Retry-After: {self.retry_after}")
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
        return ("\r\n".join([*head, "Connection: close"]) + "\r\n\r\n").encode() + body


@asynccontextmanager
async def faulty_server(
    content: bytes, *faults: str, tls=None, **more
) -> AsyncIterator[FaultyServer]:
    """Serves on a free port."""
    told = FaultyServer(content, list(faults), **more)
    server = await asyncio.start_server(told.handle, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    told.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield told
