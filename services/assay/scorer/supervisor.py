"""Scores one task: claims it, spools its input, runs the sealed child, hands everything in.

`main` builds it. A scorer that dies has stored nothing; the next one starts over, and equal input gives
equal bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from assay.domain.errors import ScorerError, SealError
from assay.domain.judge import JUDGE_PROMPTS, JudgeAnswer, JudgeRequest
from assay.rpc.score_client import ScoreClient, ScoreHead, ScorePrediction, ScoreSession
from assay.scorer.early import EarlyJudging
from assay.scorer.equality import Equality
from assay.scorer.judging import Judging, run_asking, terms_for_child
from assay.scorer.spool import Spool, write_answers
from assay.scorer.tables import (
    judge_table,
    prompts_digest,
    sample_table,
    timing_table,
)
from assay.scorer.verdicts import Listener
from assay.seal.launch import SealedJob, SealedResult, run_sealed

_log = structlog.get_logger(__name__)

CHILD_MODULE = "assay.vlmevalkit.scoring"
TRANSFER_SECONDS = 900.0
"""What a claim may take besides the child's own time."""
JUDGED_SECONDS = 7 * 86400.0
"""What a claim may take where a judge is asked; then it is claimed anew, and what was answered is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildLimits:
    """How the sealed child is run."""

    time_limit_seconds: float
    memory_limit_bytes: int
    unsealed: bool


class Supervisor:
    """Scores the task of one client."""

    def __init__(self, client: ScoreClient, limits: ChildLimits) -> None:
        self._client = client
        self._limits = limits

    async def run(self) -> None:
        """Claims the task and scores it; returns when the result, or the failure, is stored.

        Raises:
            UnavailableError: the aggregator is away; run again.
            LeaseLostError: another scorer has the task now.
            PermanentError: there is nothing to score here.
        """
        timeout = self._limits.time_limit_seconds + TRANSFER_SECONDS + JUDGED_SECONDS
        async with self._client.claim(timeout) as session, _spool() as spool:
            head = await session.head()
            try:
                await self._score(session, spool, head)
            except (ScorerError, SealError) as error:
                _log.warning("cannot score", reason=error.reason, error=str(error))
                await session.fail(error.reason, str(error))

    async def _score(
        self, session: ScoreSession, spool: Spool, head: ScoreHead
    ) -> None:
        listener = Listener(predictions_only=head.predictions_only)
        answers: dict[str, JudgeAnswer] = {}
        result = await self._run_child(session, spool, head, listener, answers)
        predictions = listener.predictions
        samples = await asyncio.to_thread(sample_table, listener.verdicts)
        timing = await asyncio.to_thread(timing_table, predictions)
        judged = (
            {}
            if head.judging is None
            else {JUDGE_PROMPTS: prompts_digest(listener.heard)}
        )
        outcome = listener.outcome({**result.protections, **judged})
        names = await asyncio.to_thread(spool.published)
        await session.send_file("samples.parquet", _split(samples))
        await session.send_file("timing.parquet", _split(timing))
        if head.judging is not None:
            table = await asyncio.to_thread(judge_table, listener.heard, answers)
            await session.send_file("judge.parquet", _split(table))
        for name in names:
            await session.send_file(f"upstream/{name}", spool.pieces(name))
        digest = await session.finish(outcome)
        _log.info(
            "scored",
            scored=outcome.scored,
            unscored=outcome.unscored,
            withheld=outcome.withheld,
            score_digest=digest,
        )

    async def _run_child(
        self,
        session: ScoreSession,
        spool: Spool,
        head: ScoreHead,
        listener: Listener,
        answers: dict[str, JudgeAnswer],
    ) -> SealedResult:
        """Starts the child at once: its imports take as long as the input takes to come."""
        job = SealedJob(
            module=CHILD_MODULE,
            workdir=spool.folder,
            time_limit_seconds=self._limits.time_limit_seconds,
            memory_limit_bytes=self._limits.memory_limit_bytes,
            unsealed=self._limits.unsealed,
            # Many rows wait for a judge at a time, and every arena would count as memory.
            environment={"MALLOC_ARENA_MAX": "2"} if head.judging else {},
        )

        async def ask(request: JudgeRequest) -> JudgeAnswer:
            answers[request.key] = await session.ask(request)
            return answers[request.key]

        early = None
        if head.judging is not None and head.judging.early:
            early = EarlyJudging(job, head, ask)
        receiving = _receive(session, spool, head, listener, answers, early=early)
        document = asyncio.create_task(receiving)

        def judging() -> Judging:
            assert head.judging is not None
            samples = {prediction.sample_id for prediction in listener.predictions}
            name = head.judging.model
            return Judging(model=name, ask=ask, samples=samples, total=head.total)

        shielded = asyncio.shield(document)
        try:
            if head.judging is None:
                return await run_sealed(job, listener.line, shielded)
            return await run_asking(
                job, listener.line, shielded, judging, equality=Equality(job)
            )
        except (ScorerError, SealError):
            # What went wrong is told over the same stream, which therefore must be read to its end.
            await document
            raise
        finally:
            document.cancel()
            if early is not None:
                await early.close()


@asynccontextmanager
async def _spool() -> AsyncIterator[Spool]:
    spool = await asyncio.to_thread(Spool)
    try:
        yield spool
    finally:
        await asyncio.to_thread(spool.remove)


async def _receive(
    session: ScoreSession,
    spool: Spool,
    head: ScoreHead,
    listener: Listener,
    answers: dict[str, JudgeAnswer],
    *,
    early: EarlyJudging | None,
) -> bytes:
    """Puts the input where the child looks for it, and returns the child's document.

    Raises:
        ScorerError: a prediction is missing.
    """
    predictions: list[ScorePrediction] = []
    stream = await asyncio.to_thread(spool.table_path(head.dataset).open, "wb")
    try:
        async for piece in session.inputs():
            if isinstance(piece, bytes):
                await asyncio.to_thread(stream.write, piece)
            elif isinstance(piece, JudgeAnswer):
                answers[piece.key] = piece
            else:
                predictions.append(piece)
                if early is not None:
                    await asyncio.to_thread(stream.flush)
                    await early.landed(piece, Path(stream.name), answers)
        if early is not None:
            await early.finish()
    finally:
        await asyncio.to_thread(stream.close)
    predictions.sort(key=lambda prediction: prediction.ordinal)
    ordinals = [prediction.ordinal for prediction in predictions]
    if ordinals != list(range(head.total)):
        raise ScorerError(
            f"{head.model}/{head.dataset} has {head.total} samples and {len(ordinals)} predictions"
        )
    await asyncio.to_thread(spool.write_predictions, predictions)
    listener.predictions = predictions
    document: dict[str, object] = {
        "dataset": head.dataset,
        "model": head.model,
        "judge": head.judge,
        "limit": head.limit,
        "predictions_only": head.predictions_only,
    }
    if head.judging is not None:
        known = list(answers.values())
        await asyncio.to_thread(write_answers, spool.folder, known)
        document["judging"] = terms_for_child(head.judging)
    return json.dumps(document).encode()


def _split(data: bytes) -> list[bytes]:
    size = 1024 * 1024
    return [data[start : start + size] for start in range(0, len(data), size)]
