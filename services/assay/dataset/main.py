"""Starts the dataset service: `python -m assay.dataset.main --config-fd N`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from assay.dataset.metrics import PrepareMetrics
from assay.dataset.preparing import Preparer
from assay.dataset.service import DatasetService
from assay.dataset.servicer import DatasetServicer
from assay.dataset.sources.fetch import S3Address, SourceFetcher
from assay.domain.errors import AssayError, ConfigError, TransientError
from assay.process.configs import DatasetConfig
from assay.process.contract import (
    ExitCode,
    FolderStoreConfig,
    announce_ready,
    load_config,
)
from assay.rpc.credentials import authenticator
from assay.rpc.server import Registration, serve
from assay.store.metered import MeteredStore
from assay.store.opened import open_store
from assay.telemetry.exposition import exposed
from assay.telemetry.log import set_up_logging
from assay.v1 import dataset_pb2_grpc

_log = structlog.get_logger(__name__)


def build_service(config: DatasetConfig, registry: CollectorRegistry) -> DatasetService:
    """Wires the service; the only place that does.

    Args:
        config: what the process was told.
        registry: where its numbers show.

    Raises:
        ConfigError: it has nowhere to work.
        StoreUnavailableError, StoreFullError, ConflictError: the store cannot be used.
    """
    store = MeteredStore(open_store(config.store), registry)
    work = _work_folder(config)
    fetcher = SourceFetcher(
        store,
        partial=work / "partial",
        s3=_s3_address(config),
    )
    return DatasetService(
        store,
        fetcher,
        Preparer(work / "work", unsealed=config.unsealed),
        locks=work / "locks",
        lmu_data=config.lmu_data,
        metrics=PrepareMetrics(registry),
    )


def _work_folder(config: DatasetConfig) -> Path:
    if config.work is not None:
        return config.work.absolute()
    if isinstance(config.store, FolderStoreConfig):
        return config.store.cache.absolute()
    raise ConfigError(
        "work",
        "a store in a bucket has no folder to download and prepare in",
        "name one with room for the largest dataset, four times",
    )


def _s3_address(config: DatasetConfig) -> S3Address | None:
    if config.s3 is None:
        return None
    # Most runs have no S3 endpoint, and the client takes 0.2 s to import.
    from assay.dataset.sources.s3 import S3Addresses  # noqa: PLC0415

    return S3Addresses(config.s3).of


async def run(config: DatasetConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        UnavailableError: the address cannot be bound.
    """
    registry = CollectorRegistry()
    service = await asyncio.to_thread(build_service, config, registry)

    def add(server: Any) -> None:
        dataset_pb2_grpc.add_DatasetServiceServicer_to_server(
            DatasetServicer(service), server
        )

    server = await serve(
        [Registration("assay.v1.DatasetService", add)],
        listen=config.listen,
        authenticator=authenticator(config),
        tls=config.server_tls,
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    announce_ready(config, server.address)
    _log.info("serving", address=server.address)
    async with exposed(registry, config.metrics_listen):
        await stopping.wait()
    await service.stop()
    await server.stop(config.stop_grace)


def main(argv: list[str] | None = None) -> int:
    """The process; returns its exit code."""
    try:
        config = load_config(DatasetConfig, argv)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_CONFIG
    secrets = [config.token.get_secret_value()]
    if config.s3 is not None:
        given = (config.s3.access_key, config.s3.secret_key)
        secrets += [secret.get_secret_value() for secret in given if secret]
    set_up_logging("dataset", file=config.log_file, secrets=secrets)
    try:
        uvloop.run(run(config))
    except TransientError as error:
        _log.error("cannot serve", error=str(error))
        return ExitCode.RETRY
    except AssayError as error:
        _log.error("failed", error=str(error))
        return ExitCode.FAILED
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
