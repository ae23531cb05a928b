"""Worlds for tests of `decide`: a run, what is observed of it, and a simulated one with random deaths."""

from __future__ import annotations

from dataclasses import replace

from assay.domain.actions import Service
from assay.domain.lease import QueueState
from assay.domain.observed import (
    Death,
    Ending,
    Observed,
    PartView,
    Preparation,
    PreparationState,
    Presence,
)
from assay.domain.report import RunState
from assay.domain.run import Dataset, Endpoint, Model, PicturePolicy, Run
from assay.domain.snapshot import (
    EndpointCondition,
    HeadlineScore,
    QueueSnapshot,
    RunSnapshot,
    TaskSnapshot,
)
from assay.domain.task import TaskCounts, TaskId, TaskState

READY = PartView(presence=Presence.READY, count=1, journal="logs/it.log")
PICTURES = PicturePolicy()
DIGEST = "d" * 64
BOTH_UP = {Service.DATASET: READY, Service.AGGREGATOR: READY}


def model(key="m", **changes):
    return Model(
        key=key,
        kind="CustomAPIModel",
        served_name=key,
        endpoint=Endpoint(api_base="http://127.0.0.1:9/v1/chat/completions"),
        **changes,
    )


def run_of(models=("m",), datasets=("d",), **changes):
    return Run(
        models=tuple(model(key) for key in models),
        datasets=tuple(Dataset(name=name) for name in datasets),
        **changes,
    )


def task(state, model="m", dataset="d", message="", **counts):
    return TaskSnapshot(
        id=TaskId(model, dataset),
        state=TaskState(state),
        counts=TaskCounts(**counts),
        message=message,
    )


def headline(value):
    return HeadlineScore(
        name="Overall", split="", value=value, lowest=0, highest=1, text=str(value)
    )


def queue(state="OPEN", model="m", *, dead_for=None, workers=1):
    endpoint = None
    if dead_for is not None:
        endpoint = EndpointCondition(
            usable=False,
            reason="connection_refused",
            message="http://127.0.0.1:9 refuses connections",
            for_seconds=dead_for,
        )
    return QueueSnapshot(
        queue=model, state=QueueState(state), workers=workers, endpoint=endpoint
    )


_OPEN_QUEUE = queue()


def snapshot(*tasks, queues=(), state="RUNNING", epoch=1, version=1):
    return RunSnapshot(
        run_id="r",
        state=RunState(state),
        tasks=tasks,
        queues=queues,
        epoch=epoch,
        version=version,
    )


def observed(*tasks, queues=(_OPEN_QUEUE,), state="RUNNING", **changes):
    """An open run with both services up."""
    seen = snapshot(*tasks, queues=queues, state=state) if tasks else None
    base = Observed(
        now=100.0,
        opened=bool(tasks),
        snapshot=seen,
        snapshot_at=100.0,
        services=BOTH_UP,
    )
    return replace(base, **changes)


def dead(*, times=1, ending=Ending.CRASHED, at=100.0, message="", lived=1.0):
    """A part that is away after dying `times` times without progress."""
    deaths = tuple(
        Death(at=at, lived=lived, ending=ending, progress=0, message=message)
        for _ in range(times)
    )
    return PartView(deaths=deaths, journal="logs/it.log")


def prepared(state=PreparationState.READY, **fields):
    digest = DIGEST if state is PreparationState.READY else ""
    return {("d", PICTURES): Preparation(state=state, digest=digest, **fields)}
