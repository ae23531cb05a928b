"""Stands between a store and its server, and takes an answer away after the server has acted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class CuttingProxy:
    """Passes requests on; while `answers_to_drop` is positive, closes instead of passing an answer back.

    Attributes:
        requests: the first line of each request.
        stall: keep the connection open and say nothing, instead of closing it.
    """

    upstream: str
    answers_to_drop: int = 0
    stall: bool = False
    address: str = ""
    requests: list[str] = field(default_factory=list)
    _held: list[socket.socket] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(
                    target=self._relay, args=(client,), daemon=True
                ).start()

    def _relay(self, client: socket.socket) -> None:
        host, _, port = self.upstream.partition(":")
        with socket.create_connection((host, int(port)), timeout=30) as server:
            back = threading.Thread(
                target=self._answer, args=(server, client), daemon=True
            )
            back.start()
            with suppress(OSError):
                while data := client.recv(65536):
                    first = data.split(b"\r\n", 1)[0].decode(errors="replace")
                    if first.endswith("HTTP/1.1"):
                        self.requests.append(first)
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            back.join(30)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                # `100 Continue` is no answer yet.
                if self.answers_to_drop and b" 100 " not in data[:16]:
                    self.answers_to_drop -= 1
                    if self.stall:
                        self._held.append(client)
                        return
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
            client.close()


@contextmanager
def cutting_proxy(upstream: str) -> Iterator[CuttingProxy]:
    """A proxy of its own port in front of `upstream`, for as long as the block lasts."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        proxy = CuttingProxy(upstream, address=f"{host}:{port}")
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        yield proxy
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        for client in proxy._held:
            client.close()
