"""The referee: an OpenAI-compatible endpoint that costs next to nothing and keeps the time.

`run.py` starts it; every contender asks it. It answers each POST after a fixed latency, in at most
`--slots` requests at once (the rest wait, as in a real engine), and counts from the first byte of the
first request to the last byte of the last answer. `GET /stats` says what it saw, `POST /reset` starts
over, and with `--capture` each body is kept for the floor client to send again.
"""

import argparse
import asyncio
import json
import resource
import struct
import time
from collections import deque
from pathlib import Path

import uvloop

ANSWER = "A"


def _answer(text: str) -> bytes:
    body = json.dumps(
        {
            "id": "bench",
            "object": "chat.completion",
            "model": "bench",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 300,
                "completion_tokens": 1,
                "total_tokens": 301,
            },
        }
    ).encode()
    return _http(body)


def _http(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Referee:
    """Slots, waiting requests and the clock; one for all connections."""

    def __init__(
        self, latency: float, slots: int, capture: Path | None, answer: str
    ) -> None:
        self.latency = latency
        self.answer = _answer(answer)
        self.slots = slots
        self.loop = asyncio.get_running_loop()
        self.capture = capture.open("wb") if capture else None
        self.waiting: deque[Connection] = deque()
        self.reset()

    def reset(self) -> None:
        self.first = self.last = 0.0
        self.requests = self.answers = self.body_bytes = self.connections = 0
        self.busy = self.most_in_flight = 0
        self.cpu_at_reset = time.process_time()
        self.waiting.clear()

    def accept(self, connection: "Connection") -> None:
        self.requests += 1
        if self.busy >= self.slots:
            self.waiting.append(connection)
            return
        self._start(connection)

    def _start(self, connection: "Connection") -> None:
        self.busy += 1
        self.most_in_flight = max(self.most_in_flight, self.busy)
        self.loop.call_later(self.latency, self._finish, connection)

    def _finish(self, connection: "Connection") -> None:
        self.busy -= 1
        connection.reply(self.answer)
        self.answers += 1
        self.last = time.time()
        if self.waiting:
            self._start(self.waiting.popleft())

    def stats(self) -> dict[str, float]:
        """Times are seconds of the wall clock; `slots_used` is of what `slots` could have done."""
        span = self.last - self.first
        used = self.answers * self.latency / (self.slots * span) if span > 0 else 0.0
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "first_request": self.first,
            "last_answer": self.last,
            "requests": self.requests,
            "answers": self.answers,
            "connections": self.connections,
            "body_bytes": self.body_bytes,
            "most_in_flight": self.most_in_flight,
            "span_seconds": span,
            "slots_used": used,
            "cpu_seconds": time.process_time() - self.cpu_at_reset,
            "peak_rss_bytes": usage.ru_maxrss * 1024,
        }


class Connection(asyncio.Protocol):
    """One client; reads a request, forgets its body, answers in order."""

    def __init__(self, referee: Referee) -> None:
        self.referee = referee
        self.head = b""
        self.missing = 0
        self.post = False
        self.chunks: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.referee.connections += 1

    def reply(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self._body(data)
            return
        self.head += data
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = self.head[:end].lower(), self.head[end + 4 :]
        self.head = b""
        self._request(head, rest)

    def _request(self, head: bytes, rest: bytes) -> None:
        if head.startswith(b"get /stats"):
            self.reply(_http(json.dumps(self.referee.stats()).encode()))
        elif head.startswith(b"get "):
            self.reply(_http(b'{"object": "list", "data": []}'))
        elif head.startswith(b"post /reset"):
            self.referee.reset()
            self.reply(_http(b"{}"))
        elif head.startswith(b"post "):
            if not self.referee.first:
                self.referee.first = time.time()
            place = head.find(b"content-length:")
            self.missing = int(head[place + 15 :].split(b"\r\n", 1)[0])
            if b"expect: 100-continue" in head:
                self.reply(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._body(rest)
        else:
            self.reply(_http(b"{}", "405 Method Not Allowed"))

    def _body(self, data: bytes) -> None:
        referee = self.referee
        self.missing -= len(data)
        referee.body_bytes += len(data)
        if referee.capture:
            self.chunks.append(data)
        if self.missing > 0:
            return
        if referee.capture:
            body = b"".join(self.chunks)
            referee.capture.write(struct.pack("<I", len(body)) + body)
            referee.capture.flush()
            self.chunks.clear()
        referee.accept(self)


async def serve(arguments: argparse.Namespace) -> None:
    referee = Referee(
        arguments.latency, arguments.slots, arguments.capture, arguments.answer
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(referee), "127.0.0.1", arguments.port, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--capture", type=Path)
    parser.add_argument("--answer", default=ANSWER)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
