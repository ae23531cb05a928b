"""What the pods of a run write, line by line: of those that are there, or for as long as the run goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assay.cluster.evalruns import eval_run
from assay.cluster.place import Place
from assay.cluster.pods import PodSeen
from assay.domain.errors import (
    AssayError,
    NotFoundError,
    TransientError,
)
from assay.kube.objects import Listing
from assay.kube.refusals import GoneError
from assay.kube.resources import PODS

RUN_LABEL = "assay.dev/run"
MODEL_NOTE, DATASET_NOTE = "assay.dev/model", "assay.dev/dataset"
_LOOK_SECONDS = 3
"""How often a follower looks whether the run has ended; pods that come between are told by a watch."""

_LAST_SECONDS = 30.0
"""How long the pods of a run that has ended may still write."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose logs.

    Attributes:
        model: only pods of this model's tasks; empty: of all.
        dataset: only scorers of this dataset; empty: all pods.
        container: only containers of this name; empty: all.
    """

    model: str = ""
    dataset: str = ""
    container: str = ""

    def takes(self, pod: PodSeen) -> bool:
        """Whether a pod is among them."""
        notes = pod.metadata.annotations or {}
        wanted = ((self.model, MODEL_NOTE), (self.dataset, DATASET_NOTE))
        return all(not word or notes.get(note) == word for word, note in wanted)


class RunLogs:
    """The logs of one run; `say` is told of each line and who wrote it, from several threads by turns."""

    def __init__(
        self, place: Place, name: str, wanted: Wanted, say: Callable[[str, str], None]
    ) -> None:
        self._place = place
        self._name = name
        self._wanted = wanted
        self._say = say
        self._lock = threading.Lock()
        self._problem: AssayError | None = None

    def present(self) -> int:
        """Says all that is there, pod by pod; returns of how many containers.

        Raises:
            NotFoundError: there is no such run, or no pod of it.
            AssayError: the API server does not show them.
        """
        pods = self._pods()
        if not pods:
            raise self._none()
        found = 0
        for pod in pods:
            for container in pod.containers:
                if container.began and self._wanted.container in {"", container.name}:
                    found += 1
                    self._read(pod, container.name, follow=False)
        return found

    def follow(self) -> None:
        """Says what is there and what comes, from pods that come as well, until the run has ended.

        Raises:
            NotFoundError: there is no such run, or not any more.
            AssayError: the API server does not show them.
        """
        readers: dict[tuple[str, str], threading.Thread] = {}
        while True:
            run = eval_run(self._place, self._name)
            ended, run_id = run.ended is not None, run.status.run_id
            seen = self._listing(run_id) if run_id else None
            for pod in seen.items if seen else ():
                self._follow_pod(pod, readers)
            if self._problem is not None:
                raise self._problem
            if ended:
                until = time.monotonic() + _LAST_SECONDS
                for reader in readers.values():
                    reader.join(max(until - time.monotonic(), 0.0))
                return
            if seen is None:
                time.sleep(_LOOK_SECONDS)
                continue
            for pod in self._coming(run_id, seen.resource_version):
                self._follow_pod(pod, readers)

    def _follow_pod(
        self, pod: PodSeen, readers: dict[tuple[str, str], threading.Thread]
    ) -> None:
        """Reads those containers of a pod that have begun and are not read yet."""
        if not self._wanted.takes(pod):
            return
        for container in pod.containers:
            if self._wanted.container not in {"", container.name}:
                continue
            key = (pod.metadata.uid, container.name)
            if container.began and key not in readers:
                readers[key] = self._start(pod, container.name)

    def _coming(self, run_id: str, since: str) -> Iterator[PodSeen]:
        """Pods as they change, for a while: a short run's are there for less than a look would notice."""
        try:
            watch = self._place.api.watch(
                PODS,
                self._place.namespace,
                of=PodSeen,
                since=since,
                labels=f"{RUN_LABEL}={run_id}",
                seconds=_LOOK_SECONDS,
            )
            for event in watch:
                if isinstance(event.object, PodSeen) and event.type != "DELETED":
                    yield event.object
        except (GoneError, TransientError):
            # The next look lists them anew.
            time.sleep(_LOOK_SECONDS)

    def _listing(self, run_id: str) -> Listing[PodSeen]:
        labels = f"{RUN_LABEL}={run_id}"
        place = self._place
        return place.api.list(PODS, place.namespace, of=PodSeen, labels=labels)

    def _pods(self) -> list[PodSeen]:
        run_id = eval_run(self._place, self._name).status.run_id
        if not run_id:
            return []
        pods = self._listing(run_id).items
        taken = [pod for pod in pods if self._wanted.takes(pod)]
        return sorted(taken, key=lambda pod: pod.metadata.creation_timestamp or "")

    def _start(self, pod: PodSeen, container: str) -> threading.Thread:
        def read() -> None:
            try:
                self._read(pod, container, follow=True)
            except (NotFoundError, TransientError):
                return  # The pod has gone, or its node does not answer: the others go on.
            except AssayError as error:
                self._problem = error

        name = f"log {pod.metadata.name}"
        thread = threading.Thread(target=read, name=name, daemon=True)
        thread.start()
        return thread

    def _read(self, pod: PodSeen, container: str, *, follow: bool) -> None:
        several = len(pod.containers) > 1
        who = f"{pod.metadata.name}/{container}" if several else pod.metadata.name
        lines = self._place.api.log(
            pod.metadata.name,
            self._place.namespace,
            container=container,
            follow=follow,
        )
        try:
            for line in lines:
                with self._lock:
                    self._say(who, line.decode(errors="replace"))
        finally:
            lines.give_up()

    def _none(self) -> NotFoundError:
        state = eval_run(self._place, self._name).state
        return NotFoundError(
            f"no pod of the run {self._name} is there (it is {state})",
            cure="pods go once they are not needed any more; assay logs -f follows a run from its beginning",
        )
