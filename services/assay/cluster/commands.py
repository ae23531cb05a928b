"""What a command has the aggregator do with the current execution of a run, and how it sees it take hold."""

from __future__ import annotations

import asyncio

from assay.cluster.evalruns import EvalRun, eval_run, follow_run
from assay.cluster.place import Place
from assay.cluster.releases import Release, release_of
from assay.cluster.session import session_with
from assay.domain.errors import NotFoundError, UnavailableError
from assay.domain.report import RunState
from assay.domain.snapshot import RunSnapshot

_TAKEN_UP_SECONDS = 30.0
"""How long the controller gets to tell of what was asked for; it writes at most every ten seconds."""


def begun(place: Place, name: str) -> tuple[EvalRun, Release]:
    """A run that has an execution, and its release.

    Raises:
        NotFoundError: there is no such run, no execution of it yet, or no such release.
        UnavailableError, PermissionDeniedError, UnauthenticatedError: the API server does not say.
    """
    item = eval_run(place, name)
    if not item.status.run_id:
        raise NotFoundError(
            f"the run {name} has no execution yet: it is {item.state}",
            cure=f"assay status {name} shows what it waits for; kubectl delete evalrun {name} takes it back",
        )
    return item, release_of(place, item.release or None)


def execution_of(item: EvalRun, asked: str | None) -> str:
    """The id of an execution of a run.

    Args:
        item: that has one.
        asked: which; None: the current one.

    Raises:
        NotFoundError: it has no such execution.
    """
    if asked is None:
        return item.status.run_id
    known = [each.run_id for each in item.status.executions or ()]
    if asked not in known:
        raise NotFoundError(
            f"the run {item.name} has no execution {asked}",
            cure=f"name one of {', '.join(known)}",
        )
    return asked


async def cancel(place: Place, name: str) -> RunSnapshot:
    """Ends the current execution of a run for good.

    Raises:
        NotFoundError: there is no such run, or no execution of it yet.
        AssayError: the aggregator cannot be reached or refuses.
    """
    item, release = await asyncio.to_thread(begun, place, name)
    async with session_with(place, release) as session:
        return await session.ask(session.run(item.status.run_id).cancel)


async def retry(place: Place, name: str) -> RunSnapshot:
    """Has what the current execution left unscored asked again, and waits until the status says so.

    Raises:
        NotFoundError: there is no such run, or no execution of it yet.
        AssayError: the aggregator cannot be reached or refuses.
    """
    item, release = await asyncio.to_thread(begun, place, name)
    async with session_with(place, release) as session:
        snapshot = await session.ask(session.run(item.status.run_id).retry)
    left = any(not task.state.ended for task in snapshot.tasks)
    if left and snapshot.state is RunState.RUNNING and item.ended is not None:
        await asyncio.to_thread(_await_taken_up, place, name)
    return snapshot


def _await_taken_up(place: Place, name: str) -> None:
    """Waits for the status to follow, so that an `assay wait` that comes next waits.

    Raises:
        UnavailableError: it does not.
    """
    try:
        for item in follow_run(place, name, _TAKEN_UP_SECONDS):
            if item.ended is None:
                return
    except UnavailableError as error:
        raise UnavailableError(
            f"the samples of {name} are pending again, but no controller has taken it up yet",
            cure="assay doctor says what is wrong with it",
        ) from error
