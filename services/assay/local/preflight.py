"""What is asked before a model is: the judge, and whether local models fit; `local.run` calls it.

A run takes hours and its judge comes last. What is wrong with its address, its key or its name shows here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import SecretStr

from assay.domain.errors import ConfigError
from assay.domain.judge import judge_model
from assay.domain.run import Judge, Model
from assay.domain.sample import UnscoredReason
from assay.worker.engines.judge import JudgeEngine
from assay.worker.engines.model_check import check, interpreter
from assay.worker.engines.outcome import AttemptFailure, EndpointFailure, Outcome

_ATTEMPTS = 3
_PAUSE_SECONDS = 1.0
_LONGEST_SECONDS = 60.0
_BUSY = frozenset({UnscoredReason.EMPTY_ANSWER, UnscoredReason.RATE_LIMITED})
"""Failures that a judge which works shows, too."""


async def ask_judge(judge: Judge, key: SecretStr) -> None:
    """Returns once the judge has answered, or has said that it is there.

    Raises:
        ConfigError: it did not, with what it said and the cure.
    """
    model = judge_model(judge)
    timeout = min(model.endpoint.timeout, _LONGEST_SECONDS)
    endpoint = replace(model.endpoint, timeout=timeout)
    engine = JudgeEngine(replace(model, endpoint=endpoint), key.get_secret_value())
    await engine.open()
    try:
        said = await _asked(engine)
    finally:
        await engine.close()
    if said:
        raise ConfigError(
            "eval_config.judge",
            f"{judge.served_name} does not answer, so no model was asked anything: {said}",
            "see to the judge, or go on regardless with --no-preflight: what needs it is judged last",
        )


async def check_models(models: Sequence[Model], environ: Mapping[str, str]) -> None:
    """Returns where nothing speaks against building these local models with their interpreters.

    Raises:
        ConfigError: something does.
    """
    for model in models:
        await check(model, interpreter(model, environ))


async def _asked(engine: JudgeEngine) -> str:
    """Why there is no judge; empty: there is one."""
    said = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(_PAUSE_SECONDS)
        attempted = await engine.ask(engine.canary(with_picture=False))
        said = _trouble(attempted.outcome)
        if not said:
            break
    return said


def _trouble(outcome: Outcome) -> str:
    match outcome:
        case EndpointFailure():
            return outcome.message
        case AttemptFailure() if outcome.reason not in _BUSY and not outcome.overloaded:
            return outcome.message
    return ""
