"""A copy kept through any mixture of faults ends as the world is, and so does what was told of it."""

from __future__ import annotations

import threading

import pytest

from assay.kube.mirror import Change
from assay.kube.objects import KubeObject
from assay.kube.resources import JOBS
from assay.kube.watching import Pace, ResourceWatch, Selection
from support.faulty_world import FaultyWorld
from support.scripted_api import api_to, scripted_api


class Believer:
    """Knows only what it is told, and checks that it makes sense."""

    def __init__(self) -> None:
        self.believes: dict[str, tuple[str, str]] = {}
        self.nonsense: list[str] = []
        self.told = threading.Condition()

    def __call__(self, change: Change[KubeObject]) -> None:
        meta = change.object.metadata
        with self.told:
            known = self.believes.pop(meta.name, None)
            if (known is None) != (change.kind == "added"):
                self.nonsense.append(f"{change.kind} {meta.name} after {known}")
            if known is not None and known[0] != meta.uid:
                self.nonsense.append(f"{change.kind} of {meta.uid} after {known}")
            if change.kind != "deleted":
                self.believes[meta.name] = (meta.uid, meta.resource_version)
            self.told.notify_all()


@pytest.mark.parametrize("seed", range(12))
def test_after_any_faults_the_copy_and_its_listener_know_the_world(seed: int) -> None:
    listener = Believer()
    with scripted_api() as server:
        world = FaultyWorld(server, seed, rounds=25)
        pace = Pace(first_wait=0.001, longest_wait=0.002)
        chosen = Selection(JOBS, "eval")
        watch = ResourceWatch(
            api_to(server), chosen, KubeObject, on_change=listener, pace=pace
        )
        thread = threading.Thread(target=watch.run, name="watch-jobs")
        thread.start()
        server.await_asked("watch", 25)
        with listener.told:
            known = listener.told.wait_for(
                lambda: listener.believes == world.uids(), 30
            )
        watch.stop()
        thread.join(30)
    assert (known, listener.nonsense) == (True, [])
    assert copied(watch) == world.uids()


def copied(watch: ResourceWatch[KubeObject]) -> dict[str, tuple[str, str]]:
    metas = [item.metadata for item in watch.items()]
    return {meta.name: (meta.uid, meta.resource_version) for meta in metas}
