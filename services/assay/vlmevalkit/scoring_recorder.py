"""What each row came to while upstream's `evaluate()` ran: one pass's notes.

The passes make a `Recorder` and hand it out with `record`; what stands where upstream's plumbing stood
(`scoring_plumbing`) writes to the `active()` one, and the families read from it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FAILED_ANSWER = "Failed to obtain answer via API."
"""What upstream writes where a request failed."""

ROW: contextvars.ContextVar[int | None] = contextvars.ContextVar("row", default=None)
"""The position, in the prediction file, of the row that upstream's per-row function works on."""


@dataclass(slots=True)
class Recorder:
    """What one pass came to, row by row; rows are positions in the prediction file, from 0.

    Attributes:
        skipped: rows without an answer; upstream scores its own failure text there, for the figures that
            it would print, and nothing is noted of them.
        errors: rows whose per-row function raised, and what.
        failed: whether `evaluate()` itself raised.
        places: the rows of the member that upstream works on, by their position in its own file; None:
            the dataset is no collection.
        rows_of: the rows of each member of a collection.
        members: the file and the scores of each member that upstream has evaluated.
        results: what the per-row function gave, by row.
        options: the option letter upstream read, by row (multiple choice).
        hits: per-row scores as upstream's metric counts them (VQA, captions), in file order.
        frames: every table upstream loaded, by path, in order; upstream goes on changing them.
    """

    skipped: frozenset[int] = frozenset()
    errors: dict[int, str] = field(default_factory=dict)
    failed: bool = False
    places: Sequence[int] | None = None
    rows_of: Mapping[str, Sequence[int]] = field(default_factory=dict)
    members: dict[str, tuple[str, Any]] = field(default_factory=dict)
    results: dict[int, Mapping[str, Any]] = field(default_factory=dict)
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

    def attempt(self, row: int, function: Callable[[], Any], placeholder: Any) -> Any:
        """Runs a per-row function; a failing row gets the placeholder instead."""
        skipped = row in self.skipped
        token = ROW.set(None if skipped else row)
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - one row's failure is that row's alone
            self.note_error(row, error)
            return placeholder
        finally:
            ROW.reset(token)
        if not skipped:
            self.results[row] = result
        return result

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

    def note_error(self, row: int, error: Exception) -> None:
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
