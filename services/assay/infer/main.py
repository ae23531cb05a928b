"""`python -m assay.infer.main --config-fd N`: asks one model about the samples of one queue.

Exit codes: OK when the queue is closed for good; RETRY when the worker goes and its work does not (a
drain by SIGTERM, SIGINT, WorkerService.Drain or the aggregator; no aggregator, or no pictures, for too long);
BAD_CONFIG and FAILED where starting again would change nothing.
"""

from __future__ import annotations

import asyncio
import resource
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec
import structlog
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from assay.domain.errors import ConfigError, PermanentError, TransientError
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.run import Model
from assay.infer.servicer import WorkerServicer
from assay.process.configs import InferConfig
from assay.process.contract import ExitCode, announce_ready, load_config
from assay.rpc.channel import open_channel
from assay.rpc.credentials import authenticator, token_source
from assay.rpc.server import serve
from assay.rpc.work_client import WorkClient
from assay.telemetry.exposition import exposed
from assay.telemetry.log import set_up_logging
from assay.worker.contact import Timing
from assay.worker.engines.judge import JudgeEngine
from assay.worker.engines.openai import OpenAIEngine
from assay.worker.loop import WorkerLoop
from assay.worker.metrics import WorkerCollector
from assay.worker.pictures import PictureReader

if TYPE_CHECKING:
    from assay.worker.engines.local import LocalEngine

_log = structlog.get_logger(__name__)

_STOP_SECONDS = 1.0


async def infer(config: InferConfig, model: Model, pictures: PictureReader) -> ExitCode:
    """Works, WorkerService served meanwhile, until there is nothing left to do, or it is told to go.

    Raises:
        TransientError: the worker must go, its work must not.
        PermanentError: starting again would change nothing.
    """
    engine = _engine(config, model)
    async with open_channel(
        config.aggregator, token_source(config), config.tls
    ) as channel:
        client = WorkClient(
            channel,
            run_id=config.run_id,
            queue=config.queue,
            worker_id=config.worker_id,
        )
        loop = WorkerLoop(
            client,
            engine,
            model,
            timing=Timing(patience=config.aggregator_patience),
            drain_seconds=config.drain_seconds,
            pictures=pictures,
        )
        opening = asyncio.create_task(engine.open())

        def go() -> None:
            loop.drain()
            # A local model loads for minutes, and nobody waits for it any more.
            opening.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, go)
        async with _serving(config, loop) as address:
            try:
                await asyncio.wait([opening])
                if opening.cancelled():
                    return ExitCode.RETRY
                opening.result()
                announce_ready(config, address)
                async with exposed(_registry(config, loop), config.metrics_listen):
                    await loop.run()
            finally:
                await engine.close()
        return ExitCode.OK if loop.finished else ExitCode.RETRY


def _engine(config: InferConfig, model: Model) -> OpenAIEngine | LocalEngine:
    """What answers: a model that is built here, a judge's endpoint, or a model's."""
    if model.local is not None:
        # It reads VLMEvalKit's source and what goes with it, which the slim image does not have.
        from assay.worker.engines.local import LocalEngine  # noqa: PLC0415

        log = config.log_file
        beside = None if log is None else log.with_name(f"model-{model.key}.log")
        return LocalEngine(model, log=beside)
    kind = JudgeEngine if config.queue == JUDGE_QUEUE else OpenAIEngine
    return kind(model, config.api_key.get_secret_value())


def _registry(config: InferConfig, loop: WorkerLoop) -> CollectorRegistry:
    """What the worker shows Prometheus."""
    is_judge = config.queue == JUDGE_QUEUE
    registry = CollectorRegistry()
    registry.register(
        WorkerCollector(
            loop.snapshot,
            run_id=config.run_id,
            model=str(config.model["served_name"]) if is_judge else config.queue,
            stage="judge" if is_judge else "infer",
        )
    )
    return registry


@asynccontextmanager
async def _serving(config: InferConfig, loop: WorkerLoop) -> AsyncIterator[str]:
    """Has WorkerService served meanwhile, if it is to be; gives its address, empty without one."""
    if not config.listen:
        yield ""
        return
    servicer = WorkerServicer(
        loop,
        run_id=config.run_id,
        queue=config.queue,
        worker_id=config.worker_id,
    )
    server = await serve(
        [servicer.registration()],
        listen=config.listen,
        authenticator=authenticator(config),
        tls=config.server_tls,
    )
    try:
        yield server.address
    finally:
        await server.stop(_STOP_SECONDS)


def main(argv: list[str] | None = None) -> int:
    """Runs the process; returns its exit code."""
    try:
        config = _complete(load_config(InferConfig, argv))
        model = _model_of(config)
        pictures = PictureReader(config.store_ca_file)
    except ConfigError as error:
        set_up_logging("infer")
        _log.error("bad config", error=str(error))
        return ExitCode.BAD_CONFIG
    secrets = (config.token.get_secret_value(), config.api_key.get_secret_value())
    set_up_logging("infer", file=config.log_file, secrets=secrets)
    structlog.contextvars.bind_contextvars(
        run_id=config.run_id, worker_id=config.worker_id, queue=config.queue
    )
    _allow_many_connections()
    try:
        return uvloop.run(infer(config, model, pictures))
    except TransientError as error:
        _log.error("the worker goes, its work stays", error=str(error))
        return ExitCode.RETRY
    except ConfigError as error:
        _log.error("the model cannot be asked", error=str(error))
        return ExitCode.BAD_CONFIG
    except PermanentError as error:
        _log.error("the worker cannot go on", error=str(error))
        return ExitCode.FAILED
    except Exception:
        _log.exception("the worker failed")
        return ExitCode.FAILED


def _complete(config: InferConfig) -> InferConfig:
    """The config with what it leaves to the pod: its seat, and the key that is mounted there.

    Raises:
        ConfigError: the key's file cannot be read.
    """
    found: dict[str, object] = {}
    if not config.worker_id:
        found["worker_id"] = f"{socket.gethostname()}#{secrets.token_hex(4)}"
    if config.api_key_file is not None:
        try:
            key = config.api_key_file.read_text().strip()
        except OSError as error:
            raise ConfigError(
                "api_key_file",
                f"cannot read {config.api_key_file}: {error.strerror}",
                "mount the Secret with the model's key there",
            ) from error
        found["api_key"] = SecretStr(key)
    return config.model_copy(update=found)


def _model_of(config: InferConfig) -> Model:
    try:
        return msgspec.convert(config.model, Model)
    except msgspec.ValidationError as error:
        raise ConfigError(
            "model", str(error), "start this worker by its driver"
        ) from error


def _allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
