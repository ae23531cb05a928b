"""The controller's process: watches its release's EvalRuns and brings each to its end, until told to stop.

The chart starts it; several may run, and one acts. It serves health alone.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import structlog
import uvloop

from assay.controller.leading import Leading
from assay.controller.manager import Manager
from assay.controller.metrics import ControllerMetrics, WatchedCollector
from assay.controller.pods import platform_of
from assay.controller.reconcile import Surroundings
from assay.controller.resting import Resting
from assay.controller.watches import AnyChange, Watches
from assay.controller.writing import Writer
from assay.domain.errors import (
    AssayError,
    ConfigError,
    TransientError,
    UnavailableError,
)
from assay.driving.asking import Clients
from assay.kube.access import Access, in_cluster
from assay.kube.api import KubeApi
from assay.kube.lease import KubernetesLease, timeouts_for
from assay.kube.transport import Transport
from assay.process.configs import ControllerConfig
from assay.process.contract import ExitCode, announce_ready, load_config
from assay.rpc.channel import open_channel
from assay.rpc.credentials import authenticator, token_source
from assay.rpc.dataset_client import DatasetClient
from assay.rpc.run_client import RunClient
from assay.rpc.run_results_client import RunResultsClient
from assay.rpc.server import serve
from assay.store.leadership import this_process
from assay.telemetry.exposition import exposed
from assay.telemetry.log import set_up_logging

_WRITE_THREADS = 8
_RESOLVE_SECONDS = 2.0
_STOP_SECONDS = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Line:
    """What threads say to the event loop."""

    loop: asyncio.AbstractEventLoop
    stop: asyncio.Event
    failed: list[BaseException]

    def broken(self, error: BaseException) -> None:
        """A thread ended that must not: so does the process."""
        self.failed.append(error)
        self.say(self.stop.set)

    def say(self, what: Callable[[], None]) -> None:
        """Has the event loop do something."""
        try:
            self.loop.call_soon_threadsafe(what)
        except RuntimeError:
            return  # The process is ending: nobody listens any more.


@dataclass(frozen=True, slots=True)
class _Callees:
    """Whom to call: two channels that all runs share."""

    of: Callable[[str], Clients]
    results: RunResultsClient


@asynccontextmanager
async def _callees(config: ControllerConfig) -> AsyncIterator[_Callees]:
    """Connects when first used, and again when needed."""
    token = token_source(config)
    async with (
        open_channel(config.aggregator, token, config.tls) as aggregator,
        open_channel(config.datasets, token, config.tls) as datasets,
    ):
        dataset = DatasetClient(datasets)
        yield _Callees(
            lambda run_id: Clients(RunClient(aggregator, run_id=run_id), dataset),
            RunResultsClient(aggregator),
        )


async def _by_number(address: str, stop: asyncio.Event) -> str:
    """The address of a service for pods that can ask no name server; waits until its name is known.

    Raises:
        UnavailableError: it was not known when we were told to stop.
    """
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    while True:
        try:
            found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except OSError as error:
            _log.warning("cannot resolve the aggregator", host=host, error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _RESOLVE_SECONDS)
                raise UnavailableError(f"cannot resolve {host}: {error}") from error
        else:
            number = str(found[0][4][0])
            return f"[{number}]:{port}" if ":" in number else f"{number}:{port}"


def _lease(
    config: ControllerConfig, access: Access, stop: threading.Event
) -> KubernetesLease:
    """The release's Lease, over connections of its own: nothing may keep a renewal waiting."""
    if not config.lease:
        raise ConfigError("lease", "the claim has no name", "name the release's Lease")
    we = this_process()
    return KubernetesLease(
        KubeApi(Transport(access, timeouts=timeouts_for(config.lease_seconds))),
        config.namespace,
        config.lease,
        f"{we.host}_{we.name}",
        duration=config.lease_seconds,
        stop=stop,
    )


def _watches(
    api: KubeApi,
    config: ControllerConfig,
    line: _Line,
    changed: Callable[[AnyChange], None],
    metrics: ControllerMetrics,
) -> Watches:
    """What is seen of the namespace, not yet looked at; and counted."""
    watches = Watches(
        api,
        config.namespace,
        config.release,
        changed=changed,
        broken=line.broken,
        restarted=metrics.restarted,
    )
    metrics.registry.register(WatchedCollector(watches, metrics))
    return watches


async def _attend(
    config: ControllerConfig, line: _Line, metrics: ControllerMetrics
) -> None:
    """Looks after the release's EvalRuns until `line.stop`."""
    access = in_cluster(mounted=config.service_account)
    stop = threading.Event()
    lease = _lease(config, access, stop)
    api = KubeApi(Transport(access, on_call=metrics.called, stop=stop))
    scoring = await _by_number(config.aggregator, line.stop)
    platform = platform_of(config, scoring=scoring, version=version("assay"))
    managers: list[Manager] = []

    def changed(change: AnyChange) -> None:
        line.say(lambda: managers[0].changed(change))

    watches = _watches(api, config, line, changed, metrics)
    executor = ThreadPoolExecutor(_WRITE_THREADS, thread_name_prefix="writes")
    writer = Writer(api, config.namespace, watches, held=lease.held, executor=executor)
    async with _callees(config) as callees:
        resting = Resting(callees.results.runs)
        manager = Manager(
            Surroundings(
                watches=watches,
                writer=writer,
                platform=platform,
                clients_of=callees.of,
                resting=resting,
                store=config.store,
                reporter=socket.gethostname(),
                metrics=metrics,
            )
        )
        managers.append(manager)
        leading = Leading(
            lease,
            stop,
            leads=lambda leads: line.say(lambda: manager.lead(leads)),
            broken=line.broken,
        )
        looking = asyncio.create_task(resting.run())
        watches.start()
        leading.start()
        await line.stop.wait()
        looking.cancel()
        await manager.end()
        await asyncio.to_thread(leading.end, _STOP_SECONDS)
        await asyncio.to_thread(watches.stop)
        executor.shutdown(wait=False, cancel_futures=True)


async def _serve(config: ControllerConfig) -> None:
    """Serves health and does the work until SIGTERM or SIGINT.

    Raises:
        AssayError: a thread could not go on.
    """
    server = await serve(
        [],
        listen=config.listen,
        authenticator=authenticator(config),
        tls=config.server_tls,
    )
    loop = asyncio.get_running_loop()
    line, metrics = _Line(loop, asyncio.Event(), []), ControllerMetrics()
    attending = asyncio.create_task(_attend(config, line, metrics))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, line.stop.set)
    announce_ready(config, server.address)
    _log.info("serving", address=server.address)
    stopped = asyncio.create_task(line.stop.wait())
    async with exposed(metrics.registry, config.metrics_listen):
        await asyncio.wait((stopped, attending), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    try:
        async with asyncio.timeout(2 * _STOP_SECONDS):
            await attending
    finally:
        await server.stop(0)
    if line.failed:
        raise line.failed[0]


def main() -> ExitCode:
    """Runs the process; the exit code says whether another may be started in its place."""
    try:
        config = load_config(ControllerConfig)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_CONFIG
    set_up_logging(
        "controller", file=config.log_file, secrets=[config.token.get_secret_value()]
    )
    try:
        uvloop.run(_serve(config))
    except (TransientError, TimeoutError) as error:
        _log.error("must go", error=str(error))
        return ExitCode.RETRY
    except ConfigError as error:
        _log.error("cannot begin", error=str(error))
        return ExitCode.BAD_CONFIG
    except AssayError as error:
        _log.error("cannot go on", error=str(error))
        return ExitCode.FAILED
    _log.info("stopped")
    return ExitCode.OK


if __name__ == "__main__":
    sys.exit(main())
