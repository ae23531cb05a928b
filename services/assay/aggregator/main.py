"""The aggregator's process: claims the run, takes it over, serves until told to stop or overtaken."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import structlog
import uvloop
from prometheus_client import CollectorRegistry

from assay.aggregator.means import Means
from assay.aggregator.metrics import RunsCollector
from assay.aggregator.pages import Pages
from assay.aggregator.runs import Runs
from assay.aggregator.servicer import registrations
from assay.domain.errors import (
    AssayError,
    ConfigError,
    HeldError,
    NotLeaderError,
    TransientError,
)
from assay.process.configs import AggregatorConfig
from assay.process.contract import (
    ExitCode,
    FolderStoreConfig,
    announce_ready,
    load_config,
)
from assay.rpc.credentials import authenticator
from assay.rpc.server import serve
from assay.store.leadership import DeadlineLock, FlockLock, Leadership, this_process
from assay.store.metered import MeteredStore
from assay.store.objects import ObjectStore
from assay.store.opened import open_store
from assay.telemetry.exposition import exposed
from assay.telemetry.log import set_up_logging

_STORE_THREADS = 8

_log = structlog.get_logger(__name__)


def _empty_spool(config: AggregatorConfig) -> Path:
    """A folder on the run's own file system; what a killed aggregator left there goes.

    Raises:
        ConfigError: the config names none, and there is no run's folder.
    """
    spool = config.spool
    if spool is None:
        spool = _run_dir(config, "spool", "name a folder for files on their way")
        spool /= "spool"
    shutil.rmtree(spool, ignore_errors=True)
    spool.mkdir(parents=True, exist_ok=True)
    return spool


def _run_dir(config: AggregatorConfig, field: str, cure: str) -> Path:
    """Where a run in a folder keeps its state."""
    if isinstance(config.store, FolderStoreConfig) and config.store.run_dir is not None:
        return config.store.run_dir / ".assay"
    raise ConfigError(field, "the store is no run's folder", cure)


def store_of(config: AggregatorConfig) -> ObjectStore:
    """The store that the config names."""
    return open_store(config.store)


def claim_of(config: AggregatorConfig) -> Leadership:
    """The claim that the config names, not yet acquired.

    Raises:
        ConfigError: the config names no place for it.
    """
    if config.lock == "lease":
        return _lease_claim(config)
    path = config.lock_file
    if path is None:
        where = _run_dir(config, "lock_file", "name a file that holds the claim")
        path = where / "aggregator.lock"
    holder = this_process(of_parent=config.die_with_parent)
    if config.lock == "deadline":
        return DeadlineLock(path, holder, config.lock_seconds)
    return FlockLock(path, holder)


def _lease_claim(config: AggregatorConfig) -> Leadership:
    if not config.lease:
        raise ConfigError("lease", "the claim has no name", "name the release's Lease")
    # Needless on one machine.
    from assay.kube.access import in_cluster  # noqa: PLC0415
    from assay.kube.api import KubeApi  # noqa: PLC0415
    from assay.kube.lease import KubernetesLease, timeouts_for  # noqa: PLC0415
    from assay.kube.transport import Transport  # noqa: PLC0415

    access = in_cluster(mounted=config.service_account)
    duration, we = round(config.lock_seconds), this_process()
    transport = Transport(access, timeouts=timeouts_for(duration))
    return KubernetesLease(
        KubeApi(transport),
        access.namespace,
        config.lease,
        f"{we.host}_{we.name}",
        duration=duration,
    )


async def _renewing(leadership: Leadership, executor: Executor, runs: Runs) -> None:
    """Prolongs the claim for as long as this process serves."""
    loop = asyncio.get_running_loop()
    while leadership.renew_seconds is not None:
        await asyncio.sleep(leadership.renew_seconds)
        try:
            await loop.run_in_executor(executor, leadership.renew)
        except NotLeaderError as error:
            runs.lose(error)
            return
        except AssayError as error:
            # The deadline stands: a later renewal may still come in time.
            _log.warning("cannot renew the claim", error=str(error))


async def _serve(
    config: AggregatorConfig, opened: ObjectStore, leadership: Leadership
) -> ExitCode:
    registry = CollectorRegistry()
    store = MeteredStore(opened, registry)
    executor = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")
    spool = _empty_spool(config)
    pages = Pages(config, spool)
    means = partial(
        Means,
        store=store,
        leadership=leadership,
        executor=executor,
        holder=str(this_process()),
        spool=spool,
        ended=pages.draw,
        lease_seconds=config.lease_seconds,
    )
    runs = Runs(lambda run_id: means(run_id=run_id), only=config.run_id)
    renewing = asyncio.create_task(_renewing(leadership, executor, runs))
    registry.register(RunsCollector(runs.present))
    if config.run_id:
        await runs.restore()
    async with exposed(registry, config.metrics_listen):
        await _answer(config, runs)
    await pages.stop()
    renewing.cancel()
    if runs.lost.done():
        raise runs.lost.result()
    return ExitCode.OK


async def _answer(config: AggregatorConfig, runs: Runs) -> None:
    """Serves until told to stop or overtaken; what has arrived is written then."""
    server = await serve(
        registrations(runs),
        listen=config.listen,
        authenticator=authenticator(config),
        tls=config.server_tls,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    announce_ready(config, server.address)
    _log.info("serving", address=server.address)
    runs.lost.add_done_callback(lambda _: stop.set())
    await stop.wait()
    try:
        async with asyncio.timeout(config.stop_grace):
            await runs.stop()
    except TimeoutError:
        # Nothing of it was acknowledged: its senders have it and send it again.
        _log.warning("the store did not take what was on its way")
    await server.stop(config.stop_grace)


def conduct(
    config: AggregatorConfig,
    store: Callable[[AggregatorConfig], ObjectStore] = store_of,
    leadership: Callable[[AggregatorConfig], Leadership] = claim_of,
) -> ExitCode:
    """Claims the run and serves it to the end of this process.

    Args:
        config: what the process was told.
        store: opens the store.
        leadership: makes the claim, not yet acquired.
    """
    try:
        claim = leadership(config)
        claim.acquire()
        code = uvloop.run(_serve(config, store(config), claim))
        claim.release()
    except HeldError as error:
        _log.error("held", error=str(error))
        sys.stderr.write(f"{error}\n")
        return ExitCode.HELD
    except TransientError as error:
        _log.error("must go", error=str(error))
        return ExitCode.RETRY
    except AssayError as error:
        _log.error("cannot serve", error=str(error))
        sys.stderr.write(f"{error}\n")
        return ExitCode.FAILED
    _log.info("stopped")
    return code


def main() -> ExitCode:
    """Runs the process; the exit code says whether another may be started in its place."""
    try:
        config = load_config(AggregatorConfig)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_CONFIG
    set_up_logging(
        "aggregator",
        file=config.log_file,
        secrets=[config.token.get_secret_value()],
    )
    return conduct(config)


if __name__ == "__main__":
    sys.exit(main())
