"""Whether two expressions are equal, by upstream's own comparison in a sealed process of its own.

MathVision's comparison runs its arguments as Python, and some of them for ever: upstream forks for each
and gives up after 30 s. Here one process compares pair after pair, each once; one that takes too long is
killed, its pair has no verdict, and the next pair gets a new process. A pair is blamed for what it does
to a process of its own, never for what an earlier one left behind.
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
        self._used = 0

    async def compare(self, one: str, other: str) -> Verdict:
        """`{"equal": flag}`, or `{"reason", "said"}` where there is no telling.

        Raises:
            SealError: no process can be sealed to compare in.
        """
        async with self._one_at_a_time:
            verdict = await self._compared(one, other)
            if "reason" in verdict and self._used > 1:
                # An earlier text may have left the process in a bad way: alone, this one decides.
                await self.close()
                verdict = await self._compared(one, other)
            if "reason" in verdict:
                await self.close()
            return verdict

    async def _compared(self, one: str, other: str) -> Verdict:
        if self._process is None:
            self._process = await _Process.start(self._job)
            self._used = 0
        self._used += 1
        try:
            async with asyncio.timeout(self._patience):
                return await self._process.compare(one, other)
        except TimeoutError:
            said = f"comparing takes longer than {self._patience:.0f} s"
            return {"reason": UnscoredReason.SCORER_TIMEOUT, "said": said}
        except SealError as error:
            return {"reason": UnscoredReason.SCORER_ERROR, "said": str(error)}

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
        self._lines: asyncio.Queue[Line | None] = asyncio.Queue()
        self._run = asyncio.create_task(
            run_sealed(job, self._lines.put_nowait, None, self._letters)
        )
        self._run.add_done_callback(lambda _: self._lines.put_nowait(None))

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
        line = await self._lines.get()
        if line is not None:
            return line
        self._run.result()
        raise SealError("the comparing process has ended")

    async def stop(self) -> None:
        self._run.cancel()
        await asyncio.wait({self._run})
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)
