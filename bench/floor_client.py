"""The floor: what one bare asyncio process needs to send the same bodies and read the answers.

`run.py` starts it between the contenders. It keeps `--slots` connections busy with bodies that were
captured from a real run, and does nothing else: no retries, no records, no scores.
"""

import argparse
import asyncio
import json
import mmap
import resource
import struct
import time
from pathlib import Path

import uvloop


class Client(asyncio.Protocol):
    """One connection that takes the next body as soon as its answer is in."""

    def __init__(self, work: "Work", head: bytes) -> None:
        self.work = work
        self.head = head
        self.seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        body = self.work.next_body()
        if body is None:
            self.transport.close()
            return
        self.transport.write(self.head % len(body))
        self.transport.write(body)

    def data_received(self, data: bytes) -> None:
        self.seen += data
        end = self.seen.find(b"\r\n\r\n")
        if end < 0:
            return
        place = self.seen.find(b"Content-Length: ")
        length = int(self.seen[place + 16 : self.seen.find(b"\r", place)])
        if len(self.seen) < end + 4 + length:
            return
        answer = json.loads(self.seen[end + 4 :])
        self.seen = b""
        self.work.done(answer["choices"][0]["message"]["content"])
        self.send()

    def connection_lost(self, _error: Exception | None) -> None:
        self.work.closed()


class Work:
    """The bodies in order, and how many clients still run."""

    def __init__(self, spool: memoryview, places: list[tuple[int, int]], clients: int):
        self.spool = spool
        self.places = iter(places)
        self.answers: list[str] = []
        self.open = clients
        self.finished = asyncio.Event()

    def next_body(self) -> memoryview | None:
        place = next(self.places, None)
        return None if place is None else self.spool[place[0] : place[0] + place[1]]

    def done(self, answer: str) -> None:
        self.answers.append(answer)

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.finished.set()


def _places(spool: memoryview) -> list[tuple[int, int]]:
    found, offset = [], 0
    while offset < len(spool):
        (length,) = struct.unpack_from("<I", spool, offset)
        found.append((offset + 4, length))
        offset += 4 + length
    return found


async def run(arguments: argparse.Namespace) -> None:
    with arguments.bodies.open("rb") as stream:
        whole = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    places = _places(whole)
    work = Work(whole, places, arguments.slots)
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{arguments.port}\r\n"
        "Content-Type: application/json\r\nAuthorization: Bearer EMPTY\r\n"
        "Content-Length: %d\r\n\r\n"
    ).encode()
    loop = asyncio.get_running_loop()
    for _ in range(arguments.slots):
        await loop.create_connection(
            lambda: Client(work, head), "127.0.0.1", arguments.port
        )
    await work.finished.wait()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    facts = {
        "answers": len(work.answers),
        "cpu_seconds": time.process_time(),
        "peak_rss_bytes": usage.ru_maxrss * 1024,
    }
    print(json.dumps(facts), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bodies", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=64)
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
