"""Pods as commands look at them: of a release's services, and of a run's workers and scorers."""

from __future__ import annotations

import msgspec

from assay.kube.objects import KubeObject


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Kubernetes does on the wire."""


class _Fact(_Slim, frozen=True, kw_only=True):
    type: str
    status: str
    message: str | None = None


class _Waiting(_Slim, frozen=True, kw_only=True):
    reason: str | None = None
    message: str | None = None


class _State(_Slim, frozen=True, kw_only=True):
    waiting: _Waiting | None = None
    running: dict[str, object] | None = None
    terminated: dict[str, object] | None = None


class ContainerSeen(_Slim, frozen=True, kw_only=True):
    """One container of a pod."""

    name: str
    image: str = ""
    restart_count: int = 0
    state: _State = _State()

    @property
    def began(self) -> bool:
        """Whether it has, or had, something to say."""
        return self.state.waiting is None


class _Status(_Slim, frozen=True, kw_only=True):
    phase: str | None = None
    conditions: list[_Fact] | None = None
    init_container_statuses: list[ContainerSeen] | None = None
    container_statuses: list[ContainerSeen] | None = None


class PodSeen(KubeObject, frozen=True, kw_only=True):
    """A pod as it was read."""

    status: _Status = _Status()

    @property
    def ready(self) -> bool:
        """Whether it takes calls, and is not on its way out."""
        facts = self.status.conditions or ()
        ready = any(fact.type == "Ready" and fact.status == "True" for fact in facts)
        return ready and self.metadata.deletion_timestamp is None

    @property
    def containers(self) -> list[ContainerSeen]:
        """All its containers, those that run first coming first."""
        status = self.status
        first, rest = status.init_container_statuses, status.container_statuses
        return [*(first or ()), *(rest or ())]


def why_not_ready(pod: PodSeen) -> str:
    """A pod that is not ready, in a few words."""
    name = pod.metadata.name
    if pod.metadata.deletion_timestamp is not None:
        return f"{name} is being deleted"
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason not in {None, "PodInitializing"}:
            told = f": {waiting.message}" if waiting.message else ""
            return f"{name} waits ({waiting.reason}{told})"
    for fact in pod.status.conditions or ():
        if fact.type == "PodScheduled" and fact.status != "True":
            return f"{name} has no node ({fact.message or 'not scheduled yet'})"
    return f"{name} is {pod.status.phase or 'new'} and not ready yet"
