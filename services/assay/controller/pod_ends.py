"""How a pod of ours ended, or why it does not begin, each in one sentence with the cure.

Pure readings of one pod; `seats.py` puts them together.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime

from assay.controller.workloads import ContainerStatus, Pod, Terminated
from assay.domain.observed import Ending
from assay.process.contract import ExitCode
from assay.process.last_words import last_words

MOUNT_SECONDS = 60.0
"""A pod that has waited so long for its volumes waits for something that is not there."""

LOST_SECONDS = 60.0
"""A pod that is still there so long after its grace is on a node that does not answer."""

_ENDINGS: dict[int, Ending] = {
    ExitCode.OK: Ending.DONE,
    ExitCode.BAD_CONFIG: Ending.REFUSED,
    ExitCode.HELD: Ending.HELD,
    ExitCode.RETRY: Ending.MUST_GO,
}
_UNPULLED = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)
_UNMADE = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_FROM_SIGNAL = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PodEnd:
    """How a pod ended.

    Attributes:
        lived: seconds its container ran.
        finished: None: nobody wrote it down.
        disrupted: the cluster took it away (eviction, preemption, a lost node): no fault of its own.
        message: its last words, one sentence.
    """

    ending: Ending
    lived: float
    finished: datetime | None
    disrupted: bool
    message: str


def end_of(pod: Pod, container: str) -> PodEnd | None:
    """How a pod ended; None: it has not.

    Args:
        pod: as it was read.
        container: the one whose end is the pod's.
    """
    if not pod.ended:
        return None
    status = _status(pod, container)
    ended = (status.state.terminated if status else None) or Terminated()
    lived = 0.0
    if ended.started_at and ended.finished_at:
        lived = max((ended.finished_at - ended.started_at).total_seconds(), 0.0)
    disruption = _disruption(pod)
    if disruption or status is None or status.state.terminated is None:
        # A pod without an end of its container was turned away by its node.
        reason = pod.status.reason or "Failed"
        why = disruption or f"{reason}: {pod.status.message or 'no reason was given'}"
        return PodEnd(
            ending=Ending.MUST_GO if disruption else Ending.CRASHED,
            lived=lived,
            finished=ended.finished_at,
            disrupted=bool(disruption),
            message=f"pod {pod.metadata.name} was taken away: {why}",
        )
    out_of_memory = ended.reason == "OOMKilled"
    return PodEnd(
        ending=Ending.CRASHED
        if out_of_memory
        else _ENDINGS.get(ended.exit_code, Ending.CRASHED),
        lived=lived,
        finished=ended.finished_at,
        disrupted=False,
        message=_out_of_memory(pod, container) if out_of_memory else _said(pod, ended),
    )


def hindrance(pod: Pod, now: datetime) -> str:
    """Why a pod does not begin, with the cure; empty: nothing is known to be in its way."""
    # No sentence counts seconds: each would be a status to write.
    if pod.overdue(now) > LOST_SECONDS:
        return (
            f"pod {pod.metadata.name} should be gone by now: its node does not answer "
            "(bring the node back, delete it, or taint it node.kubernetes.io/out-of-service)"
        )
    if pod.ended or pod.metadata.deletion_timestamp is not None:
        return ""
    scheduled = pod.fact("PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return (
            f"pod {pod.metadata.name} finds no node: {scheduled.message or scheduled.reason} "
            "(lower its resources in spec.placement, or add nodes that have them)"
        )
    for container in pod.containers:
        told = _container_hindrance(pod, container)
        if told:
            return told
    return _unmounted(pod, now)


def _container_hindrance(pod: Pod, container: ContainerStatus) -> str:
    waiting = container.state.waiting
    reason = waiting.reason if waiting and waiting.reason else ""
    message = waiting.message if waiting and waiting.message else reason
    if reason in _UNPULLED:
        return (
            f"pod {pod.metadata.name} cannot get its image {container.image}: {message} "
            "(mend it in spec.placement.images, or name pullSecrets there)"
        )
    if reason in _UNMADE:
        return (
            f"pod {pod.metadata.name} cannot start container {container.name}: {message} "
            f"(see `kubectl describe pod {pod.metadata.name}`)"
        )
    if container.restart_count and not container.started:
        return _restarted(pod, container)
    return ""


def _restarted(pod: Pod, container: ContainerStatus) -> str:
    """An engine that ends before it serves: its worker waits for it, and nothing else would say why."""
    ended = container.state.terminated or container.last_state.terminated
    said = last_words(ended.message or "") if ended else ""
    name = pod.metadata.name
    return (
        f"pod {name}: {container.name} ended before it was ready, and is started anew"
        f"{': ' if said else ''}{said} (see `kubectl logs {name} -c {container.name} --previous`)"
    )


def _unmounted(pod: Pod, now: datetime) -> str:
    """Its volumes come before its sandbox: without one for long, something it mounts is missing."""
    scheduled, ready = pod.fact("PodScheduled"), pod.fact("PodReadyToStartContainers")
    if scheduled is None or ready is None or ready.status == "True":
        return ""
    since = scheduled.last_transition_time
    if since is None or (now - since).total_seconds() < MOUNT_SECONDS:
        return ""
    secrets = [volume.secret for volume in pod.spec.volumes or () if volume.secret]
    wanted = " and ".join(
        f"Secret {secret.secret_name} has {', '.join(item.key for item in secret.items or ())}"
        for secret in secrets
    )
    return (
        f"pod {pod.metadata.name} waits for what it mounts "
        f"(see that {wanted}; a model that needs no key has EMPTY there)"
    )


def _status(pod: Pod, container: str) -> ContainerStatus | None:
    return next((c for c in pod.containers if c.name == container), None)


def _disruption(pod: Pod) -> str:
    """Why the cluster took the pod away; empty: it did not."""
    target = pod.fact("DisruptionTarget")
    if target is not None and target.status == "True":
        return f"{target.reason}: {target.message or 'no reason was given'}"
    if pod.status.reason in {"Evicted", "Preempting", "NodeLost", "Shutdown"}:
        return (
            f"{pod.status.reason}: {pod.status.message or 'its node could not keep it'}"
        )
    return ""


def _out_of_memory(pod: Pod, container: str) -> str:
    limits = next(
        (c.resources.limits for c in pod.spec.containers or () if c.name == container),
        None,
    )
    most = (limits or {}).get("memory")
    had = f"its limit of {most}" if most else "its node"
    return (
        f"pod {pod.metadata.name} was killed: {had} has no memory left for it "
        "(raise resources.limits.memory in spec.placement)"
    )


def _said(pod: Pod, ended: Terminated) -> str:
    words = last_words(ended.message or "")
    if words:
        return words
    code = ended.exit_code
    if code > _FROM_SIGNAL:
        try:
            name = signal.Signals(code - _FROM_SIGNAL).name
        except ValueError:
            name = f"signal {code - _FROM_SIGNAL}"
        return f"pod {pod.metadata.name} was killed by {name}"
    return f"pod {pod.metadata.name} exited with code {code}"
