"""What each row came to while upstream's `evaluate()` ran: one pass's notes.

The passes make a `Recorder` and hand it out with `record`; what stands where upstream's plumbing stood
(`scoring_plumbing`) writes to the `active()` one, and the families read from it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from assay.domain.sample import UnscoredReason
from assay.vlmevalkit.scoring_tape import SAMPLE_UNKNOWN, Heard, RowEndedError

FAILED_ANSWER = "Failed to obtain answer via API."
"""What upstream writes where a request failed."""

ROW: contextvars.ContextVar[int | None] = contextvars.ContextVar("row", default=None)
"""The position, in the prediction file, of the row that upstream's per-row function works on."""


class RowCall(NamedTuple):
    """Upstream's per-row function and what it is about to be called with.

    Attributes:
        rows: the row, or the rows of a group.
        placeholder: what stands for the result where there is none.
    """

    rows: Sequence[int]
    function: Callable[..., Any]
    inputs: Any
    placeholder: Any

    def made(self) -> Any:
        """What the function gives."""
        if isinstance(self.inputs, dict):
            return self.function(**self.inputs)
        if isinstance(self.inputs, tuple | list):
            return self.function(*self.inputs)
        return self.function(self.inputs)


@dataclass(slots=True)
class Recorder:
    """What one pass came to, row by row; rows are positions in the prediction file, from 0.

    Attributes:
        skipped: rows without an answer; upstream scores its own failure text there, for the figures that
            it would print, and nothing is noted of them.
        judged: a judge model decides: rows of `skipped` never reach upstream's per-row functions, which
            would have it judge a failure text.
        slots: per-row functions that may run at a time.
        ids: sample ids, by row.
        ended: rows that have no verdict because of what was asked for them, and why.
        heard: judge requests and replies, by row.
        exhausted: rows whose replies could not be read and that upstream scores all the same.
        errors: rows whose per-row function raised, and what.
        failed: whether `evaluate()` itself raised.
        places: the rows of the member that upstream works on, by their position in its own file; None:
            the dataset is no collection.
        rows_of: the rows of each member of a collection.
        members: the file and the scores of each member that upstream has evaluated.
        results: what the per-row function gave, by row.
        checked: whether what a judge extracted is the answer, by row.
        options: the option letter upstream read, by row (multiple choice).
        hits: per-row scores as upstream's metric counts them (VQA, captions), in file order.
        frames: every table upstream loaded, by path, in order; upstream goes on changing them.
    """

    skipped: frozenset[int] = frozenset()
    judged: bool = False
    slots: int = 1
    ids: Sequence[str] = ()
    ended: dict[int, UnscoredReason] = field(default_factory=dict)
    heard: dict[int, list[Heard]] = field(default_factory=dict)
    exhausted: set[int] = field(default_factory=set)
    errors: dict[int, str] = field(default_factory=dict)
    failed: bool = False
    places: Sequence[int] | None = None
    rows_of: Mapping[str, Sequence[int]] = field(default_factory=dict)
    members: dict[str, tuple[str, Any]] = field(default_factory=dict)
    results: dict[int, Any] = field(default_factory=dict)
    checked: dict[int, bool] = field(default_factory=dict)
    options: dict[int, str] = field(default_factory=dict)
    hits: list[float] | None = None
    frames: list[tuple[str, Any]] = field(default_factory=list)
    single: Any = None
    """The one-row table that upstream reads and writes no files for, while it is asked about that row."""

    def first_frame(self, path: str) -> Any:
        """The table as upstream first read it from `path`; None: it never did."""
        return next((frame for where, frame in self.frames if where == path), None)

    def last_frame(self, ending: str) -> Any:
        """The last table read from a path that ends so; None: there is none."""
        found = [frame for where, frame in self.frames if where.endswith(ending)]
        return found[-1] if found else None

    share: float = 0.0
    """What that row counts in upstream's metric (captions)."""

    def row(self, label: Any) -> int:
        """The row in the prediction file that has `label` in the file that upstream works on."""
        return int(label) if self.places is None else self.places[int(label)]

    def attempt(
        self, rows: Sequence[int], function: Callable[[], Any], placeholder: Any
    ) -> Any:
        """Runs a function about one row, or a group; one that fails gets the placeholder instead."""
        skipped = not self.skipped.isdisjoint(rows)
        if skipped and self.judged:
            return placeholder
        row = rows[0]
        token = ROW.set(None if skipped else row)
        try:
            result = function()
        except RowEndedError as end:
            self.end(end, row)
            return placeholder
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one row's failure is that row's alone
            self.note_error(row, error)
            self.results.pop(row, None)
            return placeholder
        finally:
            ROW.reset(token)
        if not skipped and len(rows) == 1:
            self.results[row] = result
        return result

    def each(self, calls: Sequence[RowCall]) -> list[Any]:
        """`attempt` for all `calls`, as many at a time as there are slots; results in their order."""
        if self.slots == 1:
            return [self.called(call) for call in calls]
        with ThreadPoolExecutor(self.slots, thread_name_prefix="row") as pool:
            # A pool's thread begins with an empty context, which is just what a row needs.
            return list(pool.map(self.called, calls))

    def called(self, call: RowCall) -> Any:
        """What came of one call."""
        return self.attempt(call.rows, call.made, call.placeholder)

    def end(self, end: RowEndedError, row: int) -> None:
        """Notes why a row has no verdict: the one that was asked about, or `row`."""
        row = row if end.row is None else end.row
        self.ended[row] = end.reason
        self.results.pop(row, None)

    def asking(self) -> str:
        """The sample that upstream asks about now."""
        row = ROW.get()
        return SAMPLE_UNKNOWN if row is None else self.ids[row]

    def heard_reply(self, heard: Heard) -> None:
        """Keeps a judge's reply beside the row that asked."""
        row = ROW.get()
        if row is not None:
            self.heard.setdefault(row, []).append(heard)

    def replies(self) -> list[str]:
        """What the judge has said about the row that is worked on."""
        row = ROW.get()
        return [heard.reply for heard in self.heard.get(-1 if row is None else row, ())]

    def alone(self, row: int, table: Any, evaluate: Callable[[], Any]) -> Any:
        """What `evaluate` makes of a table of one row, without files; None: it raised."""
        self.single = table
        try:
            return evaluate()
        except Exception as error:  # noqa: BLE001 - as above
            self.note_error(row, error)
            return None
        finally:
            self.single = None

    def note_error(self, row: int, error: BaseException) -> None:
        """Keeps what a row's per-row function raised."""
        self.errors[row] = f"{type(error).__name__}: {error}"[:500]


_active: Recorder = Recorder()


def record(recorder: Recorder) -> None:
    """Makes `recorder` the one that notes from now on."""
    global _active  # noqa: PLW0603 - upstream's functions cannot be handed a recorder
    _active = recorder


def active() -> Recorder:
    """The recorder that notes now."""
    return _active
