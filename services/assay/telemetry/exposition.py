"""Serves what a process counts, for Prometheus to scrape; the services' `main` modules start it.

Everything is read in the event loop that also changes it, so nothing is counted half. Plain HTTP: there is
nothing on the page but numbers and the names of runs, models and datasets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)

from assay.domain.errors import UnavailableError

_STOP_SECONDS = 1.0


@asynccontextmanager
async def exposed(registry: CollectorRegistry, listen: str) -> AsyncIterator[str]:
    """Serves `GET /metrics` meanwhile; gives the address, empty where none is to be served.

    Args:
        registry: what is counted.
        listen: host:port, port 0 takes a free one; empty: nobody asks.

    Raises:
        UnavailableError: the address cannot be bound.
    """
    if not listen:
        yield ""
        return
    # Takes 0.2 s to import, and on one machine nobody asks.
    from aiohttp import web  # noqa: PLC0415

    # Memory, CPU seconds and open files, by the names that everybody uses.
    ProcessCollector(registry=registry)

    async def page(_request: web.Request) -> web.Response:
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    try:
        site = web.TCPSite(runner, host.strip("[]"), int(port))
        try:
            await site.start()
        except OSError as error:
            raise UnavailableError(
                f"cannot serve metrics at {listen}: {error.strerror}"
            ) from error
        bound = runner.addresses[0]
        yield f"{bound[0]}:{bound[1]}"
    finally:
        await runner.cleanup()
