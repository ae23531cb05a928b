"""Judging while inference runs: a second sealed child that asks the judge about answers as they land.

The supervisor feeds it predictions while the task's input comes, and starts scoring when it has ended:
what it asked is recorded, so scoring asks for what is left. It can fail; then scoring asks for all.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from assay.domain.errors import ScorerError, SealError
from assay.domain.judge import JudgeAnswer
from assay.rpc.score_client import ScoreHead, ScorePrediction
from assay.scorer.equality import Equality
from assay.scorer.judging import Ask, Judging, run_asking, terms_for_child
from assay.scorer.spool import write_answers
from assay.seal.launch import Line, SealedJob, fresh_workdir
from assay.seal.letters import Letters

_log = structlog.get_logger(__name__)

MODULE = "assay.vlmevalkit.scoring_early"
_A_LONG_RUN = 30 * 86400.0
"""Seconds."""


class EarlyJudging:
    """One task's; `close` it."""

    def __init__(self, job: SealedJob, head: ScoreHead, ask: Ask) -> None:
        """Nothing is started before the first prediction.

        Args:
            job: how the scoring child is run.
            head: the task.
            ask: has one request answered.
        """
        assert head.judging is not None
        self._job = job
        self._head = head
        self._terms = head.judging
        self._ask = ask
        self._letters = Letters()
        self._samples: set[str] = set()
        self._work: asyncio.Task[None] | None = None

    async def landed(
        self,
        prediction: ScorePrediction,
        table: Path,
        known: Mapping[str, JudgeAnswer],
    ) -> None:
        """Hands a prediction on; the first one starts the child on `table`, with what is known.

        Raises:
            OSError: no room for its folder.
        """
        if self._work is None:
            folder = await asyncio.to_thread(
                _furnished, self._job.workdir, table, list(known.values())
            )
            self._work = asyncio.create_task(self._run(folder))
        self._samples.add(prediction.sample_id)
        text = prediction.completion.text
        self._letters.tell({"row": prediction.ordinal, "text": text})

    async def finish(self) -> None:
        """Returns when the judge has been asked about all that landed.

        Raises:
            AssayError: what `ask` raises.
        """
        if self._work is not None:
            self._letters.tell({"end": True})
            await self._work

    async def close(self) -> None:
        """Ends it, wherever it is."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})

    async def _run(self, folder: Path) -> None:
        # Most of its time it waits for answers to land.
        job = replace(
            self._job, module=MODULE, workdir=folder, time_limit_seconds=_A_LONG_RUN
        )
        try:
            await run_asking(
                job,
                _heed,
                _document(self._head, terms_for_child(self._terms)),
                self._judging,
                equality=Equality(job),
                letters=self._letters,
            )
        except (ScorerError, SealError) as error:
            # What it would have asked, scoring asks.
            _log.warning("judging ahead of scoring has failed", error=str(error))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _judging(self) -> Judging:
        return Judging(
            model=self._terms.model,
            ask=self._ask,
            samples=self._samples,
            total=self._head.total,
        )


def _heed(line: Line) -> None:
    if isinstance(told := line.get("error"), dict):
        raise ScorerError(str(told.get("message"))[:1000])


async def _document(head: ScoreHead, terms: dict[str, object]) -> bytes:
    document = {
        "dataset": head.dataset,
        "model": head.model,
        "judge": head.judge,
        "limit": head.limit,
        "judging": terms,
    }
    return json.dumps(document).encode()


def _furnished(scoring: Path, table: Path, known: Collection[JudgeAnswer]) -> Path:
    """A folder with a table of its own: the child unpacks collections in place."""
    folder = fresh_workdir(scoring.parent, f"{scoring.name}-early")
    (folder / "lmu").mkdir()
    shutil.copyfile(table, folder / "lmu" / table.name)
    write_answers(folder, known)
    return folder
