"""The tape: what upstream's scorers ask beyond their table, looked up among recorded answers or sent up.

Two things are asked: the judge model, and whether two expressions are equal (MathVision), which is found
out in a process of its own. The thread that asks waits for its answer. What has no answer ends the row
that asked, and that row alone.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from assay.domain.judge import request_key
from assay.domain.sample import UnscoredReason

SAMPLE_UNKNOWN = ""
"""The sample of a request that upstream makes about no row."""


class RowEndedError(BaseException):
    """A row has no verdict, for `reason`.

    No `Exception`: upstream catches those of a row and goes on with a made-up verdict.
    """

    def __init__(self, reason: UnscoredReason, said: str = "") -> None:
        super().__init__(reason, said)
        self.reason = reason
        self.said = said
        self.row: int | None = None
        """The row it is about, where upstream works on a group; None: the one it works on."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One request of one row and the judge's reply."""

    key: str
    body: Mapping[str, Any]
    reply: str


class Tape:
    """Recorded answers, and the way to those that are not.

    Attributes:
        asked: judge requests that were sent up.
        frozen: nothing is sent up any more; a request without an answer ends its row.
    """

    def __init__(
        self,
        send: Callable[[Mapping[str, object]], None],
        answers: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Begins with what was answered earlier.

        Args:
            send: takes a line up.
            answers: letters, as `deliver` takes them.
        """
        self.asked = 0
        self.frozen = False
        self._send = send
        self._lock = threading.Lock()
        self._replies: dict[str, Future[Mapping[str, Any]]] = {}
        self._equal: dict[tuple[str, str], Future[Mapping[str, Any]]] = {}
        self._occurrences: Counter[tuple[str, str]] = Counter()
        for letter in answers:
            future: Future[Mapping[str, Any]] = Future()
            future.set_result(letter)
            self._replies[letter["key"]] = future

    def rewind(self) -> None:
        """Begins another pass: every sample asks from its first request on."""
        self._occurrences.clear()

    def ask(self, sample_id: str, body: Mapping[str, Any]) -> Heard:
        """The judge's reply.

        Raises:
            RowEndedError: there is none to be had.
        """
        text = json.dumps(body, sort_keys=True)
        with self._lock:
            self._occurrences[sample_id, text] += 1
            occurrence = self._occurrences[sample_id, text]
            key = request_key(body, sample_id, occurrence)
            future, new = self._future(self._replies, key)
            self.asked += new
        if new:
            question = {"body": body, "sample": sample_id, "occurrence": occurrence}
            self._send({"ask": question})
        letter = future.result()
        reply = letter.get("text") or ""
        # Upstream takes neither an empty reply nor its own words for a failure as an answer.
        if not reply.strip() or "Failed to obtain answer via API" in reply:
            said = str(letter.get("failure") or "the judge's reply is empty")
            raise RowEndedError(UnscoredReason.JUDGE_FAILED, said)
        return Heard(key, body, reply)

    def equal(self, one: str, other: str) -> bool:
        """Whether upstream takes two expressions for equal.

        Raises:
            RowEndedError: it could not be found out.
        """
        if one.lower().strip() == other.lower().strip():
            return True
        with self._lock:
            future, new = self._future(self._equal, (one, other))
        if new:
            self._send({"equal": [one, other]})
        letter = future.result()
        if "equal" not in letter:
            raise RowEndedError(
                UnscoredReason(letter["reason"]), str(letter.get("said"))
            )
        return bool(letter["equal"])

    def _future(
        self, known: dict[Any, Future[Mapping[str, Any]]], key: Any
    ) -> tuple[Future[Mapping[str, Any]], bool]:
        """The answer to come, and whether nobody has asked for it yet."""
        found = known.get(key)
        if found is not None:
            return found, False
        if self.frozen:
            raise RowEndedError(UnscoredReason.SCORER_ERROR, "a new request")
        known[key] = Future()
        return known[key], True

    def deliver(self, letter: Mapping[str, Any]) -> None:
        """Takes an answer in; called by the thread that reads them."""
        with self._lock:
            pair = letter.get("pair")
            future = self._equal[tuple(pair)] if pair else self._replies[letter["key"]]
        future.set_result(letter)

    def listen(
        self,
        lines: Iterable[bytes],
        otherwise: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Delivers what comes until it ends, in a thread of its own that the process does not wait for.

        Letters that are no answers go to `otherwise`.
        """

        def read() -> None:
            for line in lines:
                letter = json.loads(line) if line else {}
                if "key" in letter or "pair" in letter:
                    self.deliver(letter)
                elif letter and otherwise is not None:
                    otherwise(letter)

        threading.Thread(target=read, name="letters", daemon=True).start()
