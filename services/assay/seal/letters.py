"""Letters to a sealed child that goes on asking while it works.

The scorer makes one and hands it to `launch.run_sealed`: the child sends a question as a line, and gets
its answer as a line on standard input. While a question is open the child's time does not run: how long
an answer takes is not the child's doing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from assay.domain.errors import SealError


class Letters:
    """What is on its way to one child; `asked` and `answer` are called in the launcher's event loop."""

    def __init__(self) -> None:
        """Nothing is on its way, and nothing may be asked yet."""
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._left = 0
        self._open = 0
        self._changed: Callable[[bool], None] = lambda _waiting: None

    def allow(self, most: int) -> None:
        """Lets the child ask `most` questions."""
        self._left = most

    def on_change(self, changed: Callable[[bool], None]) -> None:
        """Calls `changed` when the child begins to wait (True) and when nothing is open (False)."""
        self._changed = changed

    def asked(self) -> None:
        """Notes a question.

        Raises:
            SealError: it is one too many.
        """
        if self._left == 0:
            raise SealError("a sealed child asks more than its task can need")
        self._left -= 1
        self._open += 1
        if self._open == 1:
            self._changed(True)  # noqa: FBT003 - a callback's only argument

    def answer(self, letter: Mapping[str, object]) -> None:
        """Sends the answer to a question."""
        self.tell(letter)
        self._open -= 1
        if self._open == 0:
            self._changed(False)  # noqa: FBT003 - as above

    def tell(self, letter: Mapping[str, object]) -> None:
        """Sends what nobody asked for."""
        self._queue.put_nowait(json.dumps(letter).encode() + b"\n")

    async def next(self) -> bytes:
        """The next letter; waits until there is one."""
        return await self._queue.get()
