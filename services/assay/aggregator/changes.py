"""Wakes everybody who waits for the next change; who waits later waits for the next one after that."""

from __future__ import annotations

import asyncio


class Changes:
    """A counter of changes that can be waited for."""

    def __init__(self) -> None:
        self.version = 0
        self._next = asyncio.Event()

    def note(self) -> None:
        """Counts one change and wakes all waiters."""
        self.version += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seconds: float | None) -> bool:
        """Returns whether something changed within `seconds` (None: as long as it takes)."""
        waiting = self._next
        try:
            async with asyncio.timeout(seconds):
                await waiting.wait()
        except TimeoutError:
            return False
        return True
