"""How a run stands, in one small object of the store: read at take-over and by who lists the runs. Blocking.

It is written before anybody is told: a run that was finished, closed, cancelled or reopened is so after any
restart. While a run goes on its counts are not in it; they are known to the process that serves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from assay.domain.errors import CorruptError, NotFoundError
from assay.domain.report import RunState
from assay.domain.task import TaskCounts
from assay.store import keys
from assay.store.objects import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What `state.json` holds.

    Attributes:
        message: one sentence where the state needs one; empty: it does not.
        finished: RFC 3339, UTC; empty: it has not ended.
        counts: over all tasks, as it ended; None: it has not.
        failures: why tasks failed that did, by `model/dataset`.
    """

    state: RunState = RunState.RUNNING
    message: str = ""
    finished: str = ""
    counts: TaskCounts | None = None
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in the run until somebody lets it go on."""
        return self.state is not RunState.RUNNING

    @property
    def dropped(self) -> bool:
        """Whether somebody ended it before its work was done."""
        return self.state in {RunState.SUPERSEDED, RunState.CANCELLED}


RUNNING = Standing()


def read(store: ObjectStore, run_id: str) -> Standing:
    """How a run stands; one that never was anything else is RUNNING.

    Raises:
        CorruptError: it cannot be read.
    """
    key = keys.state(run_id)
    try:
        return msgspec.json.decode(store.get(key), type=Standing)
    except NotFoundError:
        return RUNNING
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read {key}: {error}",
            cure="delete that object: the run goes on and ends again",
        ) from error


def write(store: ObjectStore, run_id: str, standing: Standing) -> None:
    """Makes a run stand like this after any restart.

    Raises:
        StoreFullError, StoreUnavailableError: as the store says; nothing has changed.
    """
    store.put(keys.state(run_id), msgspec.json.encode(standing))


def now() -> str:
    """RFC 3339, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
