"""Jobs and pods as the controller reads them: the fields it looks at, and no more.

Whatever the API server leaves out is null or empty here.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from assay.kube.objects import KubeObject


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Python does here and as Kubernetes does on the wire."""


class Fact(_Slim, frozen=True, kw_only=True):
    """A condition of a Job or a pod."""

    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = None


class JobSpec(_Slim, frozen=True, kw_only=True):
    """How many pods a Job is to have."""

    parallelism: int | None = None
    completions: int | None = None
    suspend: bool | None = None
    ttl_seconds_after_finished: int | None = None


class JobStatus(_Slim, frozen=True, kw_only=True):
    """What became of a Job."""

    conditions: list[Fact] | None = None
    active: int | None = None
    failed_indexes: str | None = None
    start_time: datetime | None = None


class Job(KubeObject, frozen=True, kw_only=True):
    """A Job as it was read."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    @property
    def live(self) -> bool:
        """Whether its controller still refills its seats."""
        ends = {"Complete", "Failed", "SuccessCriteriaMet", "FailureTarget"}
        ended = any(
            fact.type in ends and fact.status == "True"
            for fact in self.status.conditions or ()
        )
        return not ended and self.metadata.deletion_timestamp is None


class Terminated(_Slim, frozen=True, kw_only=True):
    """How a container ended."""

    exit_code: int = 0
    reason: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Waiting(_Slim, frozen=True, kw_only=True):
    """Why a container does not run."""

    reason: str | None = None
    message: str | None = None


class ContainerState(_Slim, frozen=True, kw_only=True):
    """At most one of the two; neither: it runs."""

    waiting: Waiting | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Slim, frozen=True, kw_only=True):
    """One container of a pod."""

    name: str
    image: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    restart_count: int = 0
    started: bool | None = None


class PodStatus(_Slim, frozen=True, kw_only=True):
    """What became of a pod."""

    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: list[Fact] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class Resources(_Slim, frozen=True, kw_only=True):
    """What a container may take at most."""

    limits: dict[str, str | int | float] | None = None


class Container(_Slim, frozen=True, kw_only=True):
    """A container as it was asked for."""

    name: str
    resources: Resources = Resources()


class Item(_Slim, frozen=True, kw_only=True):
    """One key of a mounted Secret."""

    key: str


class SecretVolume(_Slim, frozen=True, kw_only=True):
    """A mounted Secret."""

    secret_name: str = ""
    items: list[Item] | None = None


class Volume(_Slim, frozen=True, kw_only=True):
    """What a pod mounts, if it is a Secret."""

    secret: SecretVolume | None = None


class PodSpec(_Slim, frozen=True, kw_only=True):
    """What a pod is to run."""

    init_containers: list[Container] | None = None
    containers: list[Container] | None = None
    volumes: list[Volume] | None = None


class Pod(KubeObject, frozen=True, kw_only=True):
    """A pod as it was read."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more, or ever will."""
        return self.status.phase in {"Failed", "Succeeded"}

    @property
    def running(self) -> bool:
        """Whether it is at work, and not on its way out."""
        return (
            self.status.phase == "Running" and self.metadata.deletion_timestamp is None
        )

    def overdue(self, now: datetime) -> float:
        """Seconds since it should have been gone; 0: it should not."""
        until = self.metadata.deletion_timestamp
        if until is None or self.ended:
            return 0.0
        return max((now - datetime.fromisoformat(until)).total_seconds(), 0.0)

    @property
    def containers(self) -> list[ContainerStatus]:
        """All its containers, those that run first coming first."""
        status = self.status
        return [
            *(status.init_container_statuses or ()),
            *(status.container_statuses or ()),
        ]

    def fact(self, kind: str) -> Fact | None:
        """Its condition of that kind; None: it has none."""
        return next((f for f in self.status.conditions or () if f.type == kind), None)
