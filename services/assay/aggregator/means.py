"""What an aggregator works with; `main` makes one and everything else is given it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from assay.store.leadership import Leadership
from assay.store.objects import ObjectStore

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What an aggregator works with.

    Attributes:
        executor: where calls to the store block.
        holder: who this is, for people.
        spool: an empty folder for files that are on their way into the store.
        lease_seconds: how long a worker may be silent.
        clock: seconds that never go back.
        ended: told of a run that has ended, or is found to have, and has no page.
    """

    run_id: str
    store: ObjectStore
    leadership: Leadership
    executor: Executor
    holder: str
    spool: Path
    lease_seconds: float
    clock: Callable[[], float] = time.monotonic
    ended: Callable[[str], None] = lambda _: None

    async def block(self, call: Callable[..., _T], *args: object) -> _T:
        """Makes a call that blocks."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.executor, call, *args)
