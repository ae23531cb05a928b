"""An API server's Jobs in memory, for tests that take a run from decision to decision."""

from __future__ import annotations

from typing import Any

from assay.controller.plan import (
    CreateJob,
    DeleteJob,
    PatchJob,
    Write,
    upkeep,
    writes_for,
)
from assay.controller.workloads import Job, Pod
from assay.domain.decide import decide
from assay.domain.observed import Observed
from support.controlled import PLATFORM, owner_of
from support.decisions import BOTH_UP, queue, snapshot
from support.watched import MOMENT, job, pod, seen

KEYS = {"keysSecret": "demo-keys"}


class Jobs:
    """What there is; `step` looks, decides and writes once."""

    def __init__(self) -> None:
        self.manifests: dict[str, Any] = {}
        self.ended: dict[str, str] = {}
        self.pods: list[Pod] = []

    def jobs(self) -> list[Job]:
        """As they would be read."""
        return [
            job(manifest, ended=self.ended.get(name, ""))
            for name, manifest in self.manifests.items()
        ]

    def step(self, *tasks: Any, **spec: Any) -> list[str]:
        """One pass of a controller; says what it did, a word and a seat's role each."""
        owner = owner_of(**KEYS, **spec)
        there = seen(self.jobs(), self.pods, owner=owner)
        keys = [model.key for model in owner.request.run.models]
        world = Observed(
            now=MOMENT.now,
            opened=True,
            snapshot=snapshot(*tasks, queues=tuple(queue(model=key) for key in keys)),
            snapshot_at=MOMENT.now,
            services=BOTH_UP,
            workers=there.workers,
            scorers=there.scorers,
            replicas=owner.request.placement.replicas(owner.request.run),
            scorer_slots=2,
        )
        writes = upkeep(owner, there, PLATFORM)
        for action in decide(owner.request.run, world):
            writes += writes_for(action, owner, there, PLATFORM)
        return [self._apply(write) for write in writes]

    def run_all(self) -> None:
        """Every Job gets its pods."""
        self.pods = [
            pod(manifest, name=f"{name}-{n}")
            for name, manifest in self.manifests.items()
            for n in range(manifest["spec"]["parallelism"])
            if name not in self.ended
        ]

    def _apply(self, write: Write) -> str:
        match write:
            case CreateJob(manifest):
                name = manifest["metadata"]["name"]
                assert name not in self.manifests, f"{name} is there already"
                self.manifests[name] = manifest
                return f"create {name.rsplit('-', 3)[1]}"
            case PatchJob(name, _, patch):
                self.manifests[name]["spec"] |= patch["spec"]
                return f"patch {name.rsplit('-', 3)[1]}"
            case DeleteJob(name):
                del self.manifests[name]
                return f"delete {name.rsplit('-', 3)[1]}"
