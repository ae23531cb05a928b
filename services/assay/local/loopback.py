"""Ports on loopback that a service can come back to after it died."""

from __future__ import annotations

import random
import socket

from assay.domain.errors import UnavailableError

_PORTS = range(20_000, 32_000)
"""Below the range from which systems take the ports of outgoing connections: nobody takes ours meanwhile."""

_TRIES = 50


def free_address() -> str:
    """An address on loopback where nothing listens.

    Raises:
        UnavailableError: none of many tried ports is free.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"
    raise UnavailableError(
        f"cannot find a free port on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}",
        cure="end other programs that listen there",
    )
