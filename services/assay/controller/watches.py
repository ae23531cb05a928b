"""What the controller sees of its namespace: its release's EvalRuns, Jobs and pods, by list and watch.

`main` starts them, `manager` is told of their changes, and each run's loop decides by what they hold.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from assay.controller.evalrun import EvalRun
from assay.controller.jobs import RUN_LABEL
from assay.controller.workloads import Job, Pod
from assay.kube.api import KubeApi
from assay.kube.mirror import Change
from assay.kube.resources import EVAL_RUNS, JOBS, PODS
from assay.kube.watching import ResourceWatch, Selection

AnyChange = Change[EvalRun] | Change[Job] | Change[Pod]

_JOIN_SECONDS = 2.0


class Watches:
    """Three watches, each in a thread of its own."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        release: str,
        *,
        changed: Callable[[AnyChange], None],
        broken: Callable[[BaseException], None],
        restarted: Callable[[str, str], None] = lambda _resource, _reason: None,
    ) -> None:
        """Asks for nothing yet.

        Args:
            api: whom to ask.
            namespace: where everything of the release lies.
            release: whose objects are looked at; its name is their label.
            changed: told of each change, in a thread of ours.
            broken: told, in a thread of ours, why a watch ended that must not.
            restarted: told of which watch ended and why, for metrics.
        """
        ours = f"app.kubernetes.io/instance={release}"
        of_runs = f"{ours},{RUN_LABEL}"
        self._stop = threading.Event()
        self._broken = broken
        self.runs = ResourceWatch(
            api,
            Selection(EVAL_RUNS, namespace, ours),
            EvalRun,
            on_change=changed,
            on_restart=partial(restarted, "runs"),
            stop=self._stop,
        )
        self.jobs = ResourceWatch(
            api,
            Selection(JOBS, namespace, of_runs),
            Job,
            on_change=changed,
            on_restart=partial(restarted, "jobs"),
            stop=self._stop,
        )
        self.pods = ResourceWatch(
            api,
            Selection(PODS, namespace, of_runs),
            Pod,
            on_change=changed,
            on_restart=partial(restarted, "pods"),
            stop=self._stop,
        )
        self._all = tuple(self.by_name().values())
        self._threads = [
            threading.Thread(
                target=self._watch, args=(watch,), name=f"watch-{name}", daemon=True
            )
            for name, watch in self.by_name().items()
        ]

    def by_name(self) -> dict[str, ResourceWatch[Any]]:
        """All three."""
        return {"runs": self.runs, "jobs": self.jobs, "pods": self.pods}

    @property
    def fresh(self) -> bool:
        """Whether all is there and being kept up to date: nothing is decided by what may be stale."""
        return all(watch.synced and watch.problem is None for watch in self._all)

    def start(self) -> None:
        """Begins to list and watch."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends all watches; blocking, for a moment."""
        for watch in self._all:
            watch.stop()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def _watch(self, watch: ResourceWatch[Any]) -> None:
        try:
            watch.run()
        except (
            BaseException
        ) as error:  # the boundary of a thread: nobody else would hear of it
            self._broken(error)
            raise
