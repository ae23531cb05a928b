"""Calls to services that an event loop has under way: one per name, paused after a failure."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any

from assay.domain.errors import AssayError, TransientError

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0


class Calls:
    """Runs each named call at most once at a time; what fails for now may be asked for again later."""

    def __init__(
        self, changed: Callable[[], None], failed: Callable[[AssayError], None]
    ) -> None:
        """Makes an empty set.

        Args:
            changed: called when a call ended, and when a paused one may be made again.
            failed: told of every error that trying again cannot mend.
        """
        self._changed = changed
        self._failed = failed
        self._running: dict[Hashable, asyncio.Task[None]] = {}
        self._pauses: dict[Hashable, float] = {}
        self._resume_at: dict[Hashable, float] = {}

    def make(
        self, name: Hashable, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Makes a call in the background unless it is under way or paused."""
        if name in self._running or self._resume_at.get(name, 0.0) > time.monotonic():
            return
        self._running[name] = asyncio.create_task(self._run(name, call))

    async def cancel(self) -> None:
        """Ends every call that is under way."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(
        self, name: Hashable, call: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        try:
            await call()
        except TransientError as error:
            self._pause(name, error.retry_after)
        except AssayError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001 - the boundary of a call: nothing gets lost
            self._failed(AssayError(f"{name} failed inside: {error!r}"))
        else:
            self._pauses.pop(name, None)
        finally:
            self._running.pop(name, None)
            self._changed()

    def _pause(self, name: Hashable, told: float | None) -> None:
        pause = told or self._pauses.get(name, _FIRST_PAUSE)
        self._pauses[name] = min(pause * 2, _LONGEST_PAUSE)
        self._resume_at[name] = time.monotonic() + pause
        asyncio.get_running_loop().call_later(pause + 0.001, self._changed)
