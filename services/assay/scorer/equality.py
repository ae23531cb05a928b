"""Whether two expressions are equal, by upstream's own comparison in a sealed process of its own.

MathVision's comparison runs its arguments as Python, and some of them for ever: upstream forks for each
and gives up after 30 s. Here one process compares pair after pair, each once; one that takes too long is
killed, its pair has no verdict, and the next pair gets a new process.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace

from assay.domain.errors import SealError
from assay.domain.sample import UnscoredReason
from assay.seal.launch import Line, SealedJob, fresh_workdir, run_sealed
from assay.seal.letters import Letters

MODULE = "assay.vlmevalkit.scoring_equality"
PATIENCE_SECONDS = 30.0
"""Upstream's own."""
_WITHOUT_END = 10**7
"""Pairs, or seconds: more than any run has."""

Verdict = Mapping[str, object]


class Equality:
    """Compares for one scoring; `close` it."""

    def __init__(self, job: SealedJob, patience: float = PATIENCE_SECONDS) -> None:
        """Nothing is started before the first pair.

        Args:
            job: how the scoring child is run; the comparing one gets a folder within its folder's parent.
            patience: seconds for one pair.
        """
        # Only what it is asked takes time, and that is watched here, pair by pair.
        self._job = replace(
            job, module=MODULE, stdin=b"{}", time_limit_seconds=_WITHOUT_END
        )
        self._patience = patience
        self._one_at_a_time = asyncio.Lock()
        self._process: _Process | None = None

    async def compare(self, one: str, other: str) -> Verdict:
        """`{"equal": flag}`, or `{"reason", "said"}` where there is no telling.

        Raises:
            SealError: no process can be sealed to compare in.
        """
        async with self._one_at_a_time:
            if self._process is None:
                self._process = await _Process.start(self._job)
            try:
                async with asyncio.timeout(self._patience):
                    return await self._process.compare(one, other)
            except TimeoutError:
                reason = UnscoredReason.SCORER_TIMEOUT
                said = f"comparing takes longer than {self._patience:.0f} s"
            except SealError as error:
                # It compared before, so it is this pair that ended it.
                reason, said = UnscoredReason.SCORER_ERROR, str(error)
            await self.close()
            return {"reason": reason, "said": said}

    async def close(self) -> None:
        """Ends the process, if there is one."""
        if self._process is not None:
            await self._process.stop()
            self._process = None


class _Process:
    def __init__(self, job: SealedJob) -> None:
        self._folder = job.workdir
        self._letters = Letters()
        self._letters.allow(_WITHOUT_END)
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self._run = asyncio.create_task(
            run_sealed(job, self._lines.put_nowait, None, self._letters)
        )

    @classmethod
    async def start(cls, job: SealedJob) -> _Process:
        folder = await asyncio.to_thread(
            fresh_workdir, job.workdir.parent, f"{job.workdir.name}-equality"
        )
        process = cls(replace(job, workdir=folder))
        try:
            await process._next()
        except BaseException:
            await process.stop()
            raise
        return process

    async def compare(self, one: str, other: str) -> Verdict:
        self._letters.asked()
        self._letters.answer({"pair": [one, other]})
        return await self._next()

    async def _next(self) -> Line:
        """The process's next line.

        Raises:
            SealError: it ended instead.
        """
        line = asyncio.create_task(self._lines.get())
        done, _ = await asyncio.wait(
            {line, self._run}, return_when=asyncio.FIRST_COMPLETED
        )
        if line in done:
            return line.result()
        line.cancel()
        self._run.result()
        raise SealError("the comparing process has ended")

    async def stop(self) -> None:
        self._run.cancel()
        await asyncio.wait({self._run})
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
