"""`python -m assay.checkup.main --config FILE`: calls each service as command lines do, and uses the store.

The chart's test pod runs it under a network policy like that of every other pod, so it finds what probes do
not: certificates that fit no name, tokens that nobody believes, doors that are shut, keys of the store that
may not write. One line for each; exit code FAILED when one failed.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import uvloop

from assay.domain.errors import (
    AssayError,
    ConfigError,
    StoreUnavailableError,
    TransientError,
)
from assay.process.configs import CheckupConfig
from assay.process.contract import ExitCode, load_config
from assay.rpc.channel import open_channel
from assay.rpc.credentials import token_source
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.run_results_client import RunResultsClient
from assay.store import keys
from assay.store.opened import open_store
from assay.telemetry.log import set_up_logging

_PAUSE_SECONDS = 1.0

_log = structlog.get_logger(__name__)


async def checked(config: CheckupConfig) -> bool:
    """Looks at everything at once; whether all of it works."""
    looks: dict[str, Callable[[], Awaitable[object]]] = {
        "aggregator": partial(_aggregator, config),
        "dataset service": partial(_datasets, config),
        "store": partial(asyncio.to_thread, _store, config),
    }
    until = time.monotonic() + config.patience
    found = await asyncio.gather(
        *(_looked(what, look, until) for what, look in looks.items())
    )
    return all(found)


async def _looked(
    what: str, look: Callable[[], Awaitable[object]], until: float
) -> bool:
    """Whether one thing works; what may yet come is waited for."""
    while True:
        try:
            await look()
        except TransientError as error:
            if time.monotonic() >= until:
                _log.error("does not work", what=what, error=str(error))
                return False
            await asyncio.sleep(_PAUSE_SECONDS)
        except AssayError as error:
            _log.error("does not work", what=what, error=str(error))
            return False
        else:
            _log.info("works", what=what)
            return True


async def _aggregator(config: CheckupConfig) -> None:
    async with open_channel(
        config.aggregator, token_source(config), config.tls
    ) as channel:
        await RunResultsClient(channel).page(size=1)


async def _datasets(config: CheckupConfig) -> None:
    async with open_channel(
        config.datasets, token_source(config), config.tls
    ) as channel:
        await DatasetClient(channel).list()


def _store(config: CheckupConfig) -> None:
    """Writes an object that nobody else names, reads it and takes it away."""
    store = open_store(config.store)
    data = secrets.token_bytes(32)
    key = keys.blob(hashlib.sha256(data).hexdigest())
    store.put(key, data)
    try:
        if store.get(key) != data:
            raise StoreUnavailableError(
                f"what was read at {key} is not what was written"
            )
    finally:
        store.delete(key)


def main(argv: list[str] | None = None) -> int:
    """Runs the process; returns its exit code."""
    set_up_logging("checkup")
    try:
        config = load_config(CheckupConfig, argv)
    except ConfigError as error:
        _log.error("bad config", error=str(error))
        return ExitCode.BAD_CONFIG
    return ExitCode.OK if uvloop.run(checked(config)) else ExitCode.FAILED


if __name__ == "__main__":
    sys.exit(main())
