"""Turns leased samples into request bodies ahead of their turn, in threads, within a bound of memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from assay.domain.errors import CorruptError, StoreUnavailableError
from assay.domain.lease import LeasedSample
from assay.domain.prompt import PicturePart, Turn
from assay.domain.task import TaskId
from assay.worker.engines.body import Content, Exchange
from assay.worker.held import HeldSample
from assay.worker.pictures import PictureReader

BATCH = 16
"""Bodies built in one hop to a thread: a hop costs more than building a small one."""
_THREADS = 8

Built = bytes | CorruptError | StoreUnavailableError


@runtime_checkable
class SampleEngine(Protocol):
    """An engine that wants more of a sample than what is said: a local model."""

    def build_sample(
        self, task: TaskId, sample: LeasedSample, read: Callable[[PicturePart], bytes]
    ) -> bytes:
        """As `assay.worker.engines.local.LocalEngine.build_sample`."""
        ...


class BodyEngine(Protocol):
    """The part of an engine that builds bodies; called from threads."""

    def build(self, content: Content, earlier: Sequence[Exchange] = ()) -> bytes:
        """As `assay.worker.engines.openai.OpenAIEngine.build`."""
        ...


class Preparer:
    """Reads pictures and builds bodies; `close` ends its threads."""

    def __init__(self, engine: BodyEngine, pictures: PictureReader) -> None:
        self._engine = engine
        self._reader = pictures
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bodies")

    async def build(self, batch: Sequence[HeldSample]) -> list[Built]:
        """The bodies of `batch`, in order; where there is none, why."""
        loop = asyncio.get_running_loop()
        # Local packs are read faster than a thread is woken; addresses are worth a thread each.
        size = 1 if any(_is_remote(held) for held in batch) else len(batch)
        pieces = [batch[at : at + size] for at in range(0, len(batch), size)]
        built = await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._build, p) for p in pieces)
        )
        return [body for piece in built for body in piece]

    def close(self) -> None:
        """Ends the threads and closes the packs."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._reader.close()

    def _build(self, batch: Sequence[HeldSample]) -> list[Built]:
        return [self._build_one(held) for held in batch]

    def _build_one(self, held: HeldSample) -> Built:
        try:
            if isinstance(self._engine, SampleEngine):
                return self._engine.build_sample(
                    held.task, held.sample, self._reader.read
                )
            return self._build_turn(held.sample)
        except (CorruptError, StoreUnavailableError) as error:
            return error

    def _build_turn(self, sample: LeasedSample) -> bytes:
        turns = sample.prompt.turns
        earlier = [
            (self._content(turn), answer)
            for turn, answer in zip(turns, sample.history, strict=False)
        ]
        return self._engine.build(self._content(turns[sample.turn]), earlier)

    def _content(self, turn: Turn) -> Content:
        return [
            self._reader.read(part) if isinstance(part, PicturePart) else part.text
            for part in turn.parts
        ]


def pictured(held: HeldSample) -> bool:
    """Whether a sample shows a picture."""
    return any(
        isinstance(part, PicturePart)
        for turn in held.sample.prompt.turns
        for part in turn.parts
    )


def _is_remote(held: HeldSample) -> bool:
    return any(
        isinstance(part, PicturePart) and not part.url.startswith("file:")
        for turn in held.sample.prompt.turns
        for part in turn.parts
    )
