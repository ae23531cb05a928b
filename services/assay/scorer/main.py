"""`python -m assay.scorer.main --config-fd N`: scores one task, then exits.

Exit codes: OK when the result (or why there is none) is stored, or another scorer has taken the task;
RETRY when the aggregator stayed away or SIGTERM came; FAILED when there is nothing to score.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys

import structlog
import uvloop

from assay.domain.errors import (
    ConfigError,
    LeaseLostError,
    PermanentError,
    TransientError,
)
from assay.domain.task import TaskId
from assay.process.configs import ScorerConfig
from assay.process.contract import ExitCode, load_config
from assay.rpc.channel import open_channel
from assay.rpc.credentials import token_source
from assay.rpc.score_client import ScoreClient
from assay.scorer.supervisor import ChildLimits, Supervisor
from assay.telemetry.log import set_up_logging

_log = structlog.get_logger(__name__)

_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0


async def score(config: ScorerConfig) -> ExitCode:
    """Scores the task of `config`, claiming it again while the aggregator is away."""
    task = TaskId(model=config.model, dataset=config.dataset)
    limits = ChildLimits(
        time_limit_seconds=config.time_limit_seconds,
        memory_limit_bytes=config.memory_limit_bytes,
        unsealed=config.unsealed,
    )
    async with open_channel(
        config.aggregator, token_source(config), config.tls
    ) as channel:
        client = ScoreClient(channel, run_id=config.run_id, task=task)
        return await _persist(Supervisor(client, limits), config.aggregator_patience)


async def _persist(supervisor: Supervisor, patience: float) -> ExitCode:
    loop = asyncio.get_running_loop()
    wait, away_since = _FIRST_WAIT_SECONDS, None
    while True:
        started = loop.time()
        try:
            await supervisor.run()
        except LeaseLostError as error:
            _log.info("another scorer has the task", error=str(error))
            return ExitCode.OK
        except TransientError as error:
            now = loop.time()
            # A claim that lasted was answered: patience is for an aggregator that stays away.
            if away_since is None or now - started > _LONGEST_WAIT_SECONDS:
                wait, away_since = _FIRST_WAIT_SECONDS, now
            if now - away_since > patience:
                _log.warning("the aggregator stays away", error=str(error))
                return ExitCode.RETRY
            await asyncio.sleep((error.retry_after or wait) * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        except PermanentError as error:
            _log.error("cannot score", reason=error.reason, error=str(error))
            return ExitCode.FAILED
        else:
            return ExitCode.OK


async def _until_stopped(config: ScorerConfig) -> ExitCode:
    """Scores; SIGTERM gives the task back: nothing of it has been stored."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(score(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    try:
        return await work
    except asyncio.CancelledError:
        _log.info("stopped before the task was scored")
        return ExitCode.RETRY


def main() -> int:
    """The process."""
    try:
        config = load_config(ScorerConfig)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.BAD_CONFIG
    set_up_logging(
        "scorer", file=config.log_file, secrets=[config.token.get_secret_value()]
    )
    structlog.contextvars.bind_contextvars(
        run=config.run_id, task=f"{config.model}/{config.dataset}"
    )
    return uvloop.run(_until_stopped(config))


if __name__ == "__main__":
    sys.exit(main())
