"""EvalRuns as commands read them: what their status tells, and how it goes on.

The controller writes the status; here only what is shown is read, and absent fields are empty.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from assay.cluster.place import Place
from assay.cluster.releases import INSTANCE
from assay.domain.errors import NotFoundError
from assay.kube.following import follow
from assay.kube.objects import KubeObject
from assay.kube.resources import EVAL_RUNS
from assay.process.contract import ExitCode

_ENDED = {
    "Complete": ExitCode.OK,
    "BelowCoverage": ExitCode.BELOW_COVERAGE,
    "Failed": ExitCode.FAILED,
    "Cancelled": ExitCode.FAILED,
    "Refused": ExitCode.BAD_CONFIG,
}
"""States after which nothing more comes by itself, and what `assay wait` exits with."""


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Kubernetes does on the wire."""


class Condition(_Slim, frozen=True, kw_only=True):
    """One condition."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""


class Task(_Slim, frozen=True, kw_only=True):
    """One task's counts and score."""

    model: str
    dataset: str
    state: str = ""
    total: int = 0
    answered: int = 0
    scored: int = 0
    unscored: int = 0
    score: float | None = None
    message: str = ""


class Execution(_Slim, frozen=True, kw_only=True):
    """One execution; absent times are empty."""

    run_id: str
    state: str = ""
    started: str = ""
    finished: str = ""


class Status(_Slim, frozen=True, kw_only=True):
    """Everything the controller tells."""

    observed_generation: int = 0
    run_id: str = ""
    state: str = ""
    models: str = ""
    datasets: str = ""
    progress: str = ""
    score: str = ""
    store: str = ""
    conditions: list[Condition] | None = None
    tasks: list[Task] | None = None
    executions: list[Execution] | None = None


class Queue(_Slim, frozen=True, kw_only=True):
    """Kueue's queue."""

    name: str | None = None


class Placement(_Slim, frozen=True, kw_only=True):
    """What of a placement is looked at."""

    queue: Queue | None = None


class Spec(_Slim, frozen=True, kw_only=True):
    """What of a spec is looked at."""

    keys_secret: str | None = None
    suspend: bool | None = None
    placement: Placement | None = None


class EvalRun(KubeObject, frozen=True, kw_only=True):
    """An EvalRun as it was read."""

    spec: Spec = Spec()
    status: Status = Status()

    @property
    def name(self) -> str:
        """Its name."""
        return self.metadata.name

    @property
    def release(self) -> str:
        """Whose controller looks after it; empty: nobody's."""
        return (self.metadata.labels or {}).get(INSTANCE, "")

    @property
    def queue(self) -> str:
        """Kueue's queue that it asks for; empty: none."""
        placement = self.spec.placement
        return (placement and placement.queue and placement.queue.name) or ""

    @property
    def seen(self) -> bool:
        """Whether the status speaks of the spec as it is now."""
        return self.status.observed_generation >= self.metadata.generation

    @property
    def state(self) -> str:
        """In one word; of a spec that nobody has looked at yet it is `Pending`."""
        return (self.seen and self.status.state) or "Pending"

    @property
    def ended(self) -> ExitCode | None:
        """How it ended; None: more may come."""
        return _ENDED.get(self.state)

    def condition(self, kind: str) -> Condition | None:
        """The condition of that kind; None: it was not told yet."""
        told = self.status.conditions or ()
        return next((each for each in told if each.type == kind), None)

    @property
    def why(self) -> str:
        """What the condition that explains its end says; empty: nothing."""
        for kind in ("Failed", "Complete"):
            found = self.condition(kind)
            if found is not None and (found.status == "True") == (kind == "Failed"):
                return found.message
        return ""


def eval_runs(place: Place, release: str | None = None) -> list[EvalRun]:
    """The EvalRuns of a namespace, by name.

    Args:
        place: where they are.
        release: only those of one release; None: all.

    Raises:
        UnavailableError, PermissionDeniedError, UnauthenticatedError, NotFoundError: the API server does
            not list them.
    """
    labels = f"{INSTANCE}={release}" if release else ""
    found = place.api.list(EVAL_RUNS, place.namespace, of=EvalRun, labels=labels)
    return sorted(found.items, key=lambda item: item.name)


def eval_run(place: Place, name: str) -> EvalRun:
    """One EvalRun.

    Raises:
        NotFoundError: there is none of that name.
        UnavailableError, PermissionDeniedError, UnauthenticatedError: the API server does not show it.
    """
    try:
        return place.api.get(EVAL_RUNS, name, place.namespace, of=EvalRun)
    except NotFoundError as error:
        if error.cure:
            raise  # The kind itself is not there.
        raise NotFoundError(
            f"there is no run {name} in namespace {place.namespace}",
            cure="assay list shows those that are there; --namespace names another namespace",
        ) from error


def follow_run(
    place: Place, name: str, seconds: float | None = None
) -> Iterator[EvalRun]:
    """An EvalRun now and after each change, for as long as the caller goes on.

    Args:
        place: where it is.
        name: of it.
        seconds: how long to go on at most; None: for ever.

    Raises:
        NotFoundError: there is none of that name, or not any more.
        UnavailableError: the time is up.
        PermissionDeniedError, UnauthenticatedError: the API server does not show it.
    """
    yield from follow(
        place.api, EVAL_RUNS, name, place.namespace, of=EvalRun, seconds=seconds
    )
