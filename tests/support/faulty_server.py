"""A real HTTP server that serves one file and misbehaves as told, for the download tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class FaultyServer:
    """Serves `content`; each entry of `faults` is used up by one request.

    Faults: `cut:N` closes after N bytes of the body, `stall:N` goes silent after N bytes, `status:N`
    answers N, `refuse` closes at once, `no-range` ignores a Range header.
    """

    content: bytes
    faults: list[str] = field(default_factory=list)
    etag: str = '"one"'
    content_type: str = "application/octet-stream"
    announce: int | None = None
    requests: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader, writer):
        try:
            await self._answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        self.requests.append(headers | {"target": head[0]})
        kind, _, number = (self.faults.pop(0) if self.faults else "").partition(":")
        if kind == "refuse":
            return None
        if kind == "status":
            writer.write(
                f"HTTP/1.1 {number} Told\r\nContent-Length: 0\r\n\r\n".encode()
            )
            return await writer.drain()
        start = 0
        if (
            "range" in headers
            and headers.get("if-range", self.etag) == self.etag
            and kind != "no-range"
        ):
            start = int(headers["range"].removeprefix("bytes=").rstrip("-"))
        body = self.content[start:]
        writer.write(self._head(start, len(body)))
        if head[0].startswith("HEAD "):
            body = b""
        writer.write(body[: int(number)] if kind in {"cut", "stall"} else body)
        await writer.drain()
        if kind == "stall":
            await reader.read()  # until the other side has had enough
        return None

    def _head(self, start, length):
        size = self.announce if self.announce is not None else length
        lines = [
            "HTTP/1.1 206 Partial Content" if start else "HTTP/1.1 200 OK",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {size}",
            f"ETag: {self.etag}",
            "Last-Modified: Tue, 24 Nov 2026 00:00:00 GMT",
            "Connection: close",
        ]
        if start:
            whole = len(self.content)
            lines.append(f"Content-Range: bytes {start}-{whole - 1}/{whole}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


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
