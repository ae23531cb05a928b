"""What `assay doctor` reads off the objects of a namespace: definition, pods, images, queues, runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from assay.cluster.evalruns import EvalRun, eval_runs
from assay.cluster.finding import Finding, fine, unknown, wrong
from assay.cluster.logs import RUN_LABEL
from assay.cluster.place import Place
from assay.cluster.pods import PodSeen, why_not_ready
from assay.cluster.releases import COMPONENT, Release
from assay.domain.errors import NotFoundError, PermissionDeniedError
from assay.kube.objects import KubeObject
from assay.kube.resources import DEFINITIONS, EVAL_RUNS, PODS, Resource

REVISION = "assay.dev/revision"
_SERVICES = ("controller", "dataset", "aggregator")
_LOOKED_SECONDS = 30.0
"""A controller that is up has looked at a new EvalRun long before."""

_LOCAL_QUEUES = Resource("kueue.x-k8s.io", "v1beta1", "localqueues", "LocalQueue")
_PULLING = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
)


def definition(place: Place, release: Release | None) -> Finding:
    """Whether EvalRuns are known here, and in the form that the release needs.

    Raises:
        UnavailableError, UnauthenticatedError, PermanentError: the API server does not say.
    """
    about = f"definition {EVAL_RUNS}"
    apply = "kubectl apply --server-side -f charts/assay/crds/evalruns.yaml"
    try:
        found = place.api.get(DEFINITIONS, str(EVAL_RUNS), of=KubeObject)
    except NotFoundError:
        return wrong(about, "is not installed", apply)
    except PermissionDeniedError:
        return unknown(
            about, "you may not look at definitions; whether it is old is not known"
        )
    there = _number((found.metadata.annotations or {}).get(REVISION))
    needed = release.revision if release is not None else 0
    if there < needed:
        return wrong(
            about,
            f"is older (revision {there}) than the release's chart ({needed}): Helm never changes it",
            apply,
        )
    return fine(about, f"is installed, revision {there}")


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def services(place: Place, release: Release) -> Iterator[Finding]:
    """Whether each part of a release has a pod that is ready.

    Raises:
        UnavailableError, PermissionDeniedError, UnauthenticatedError: pods cannot be looked at.
    """
    pods = place.api.list(
        PODS, place.namespace, of=PodSeen, labels=release.labels()
    ).items
    by_part: dict[str, list[PodSeen]] = {part: [] for part in _SERVICES}
    for pod in pods:
        labels = pod.metadata.labels or {}
        if RUN_LABEL not in labels:
            by_part.setdefault(labels.get(COMPONENT, ""), []).append(pod)
    for part, found in by_part.items():
        about = f"{part} of release {release.name}"
        ready = sum(pod.ready for pod in found)
        if ready:
            restarts = sum(c.restart_count for pod in found for c in pod.containers)
            told = f", {restarts} restarts" if restarts else ""
            yield fine(about, f"{ready} of {len(found)} pods ready{told}")
            continue
        why = "; ".join(why_not_ready(pod) for pod in found) or "it has no pod"
        where = f"-n {place.namespace} -l {release.labels(part)}"
        yield wrong(
            about,
            why,
            f"kubectl describe pods {where}; kubectl logs --previous {where}",
        )


def images(place: Place, release: Release) -> Finding:
    """Whether some pod of the release or of its runs cannot have its image.

    Raises:
        UnavailableError, PermissionDeniedError, UnauthenticatedError: pods cannot be looked at.
    """
    about = "images"
    pods = place.api.list(
        PODS, place.namespace, of=PodSeen, labels=release.labels()
    ).items
    names: set[str] = set()
    for pod in pods:
        for container in pod.containers:
            waiting = container.state.waiting
            if waiting is not None and waiting.reason in _PULLING:
                whose = f"{container.image} of pod {pod.metadata.name}"
                return wrong(
                    about,
                    f"{whose}: {waiting.reason}: {waiting.message or ''}",
                    "push it where nodes can pull it, mend its name (images.registry, images.<name>.tag), "
                    "or name images.pullSecrets",
                )
            names.add(container.image)
    return fine(
        about, f"{len(names)} in use; what no pod has asked for yet is not known"
    )


def queues(place: Place, items: Iterable[EvalRun]) -> Iterator[Finding]:
    """Whether the queues that runs name are there.

    Raises:
        UnavailableError, UnauthenticatedError, PermanentError: the API server does not say.
    """
    named = sorted({item.queue for item in items if item.queue})
    if not named:
        yield fine("queue", "no run asks for one")
    for name in named:
        about = f"queue {name}"
        try:
            place.api.get(_LOCAL_QUEUES, name, place.namespace, of=KubeObject)
        except NotFoundError as error:
            kueue = "install Kueue" if error.cure else f"make a LocalQueue {name}"
            cure = f"{kueue}, or take queue.name away"
            yield wrong(about, f"is not in namespace {place.namespace}", cure)
        except PermissionDeniedError:
            yield unknown(about, "you may not look at queues")
        else:
            yield fine(about, "is there")


def runs(place: Place, names: set[str]) -> Iterator[Finding]:
    """What EvalRuns cannot go on with, each with its reason; one line for the others.

    Args:
        place: where they are.
        names: of the releases there.

    Raises:
        UnavailableError, PermissionDeniedError, UnauthenticatedError, NotFoundError: EvalRuns cannot be
            looked at.
    """
    items = eval_runs(place)
    yield from queues(place, items)
    well = 0
    for item in items:
        finding = _run(item, names)
        if finding is None:
            well += 1
        else:
            yield finding
    yield fine("runs", f"{well} of {len(items)} as they should be")


def _run(item: EvalRun, names: set[str]) -> Finding | None:
    """What is wrong with a run that its user or the platform must mend; None: nothing."""
    about = f"run {item.name}"
    if item.release not in names:
        return wrong(
            about,
            f"is of release {item.release or '(none)'}, which is not in this namespace",
            "label it app.kubernetes.io/instance=<release>, or assay submit it",
        )
    if not item.seen:
        if _age(item) < _LOOKED_SECONDS:
            return None
        return wrong(
            about,
            "no controller has looked at it as it is now",
            f"see the controller of release {item.release} above, and its log",
        )
    accepted = item.condition("Accepted")
    if accepted is not None and accepted.status == "False":
        return wrong(
            about,
            f"is refused: {accepted.message}",
            "mend it, then assay submit or helm upgrade, whichever made it",
        )
    if item.state == "Failed":
        told = f"failed: {item.why}" if item.why else "failed"
        return wrong(about, told, f"assay status {item.name}")
    return _hindered(item, about)


def _hindered(item: EvalRun, about: str) -> Finding | None:
    """A run that goes on, but does not come on."""
    inferring = item.condition("Inferring")
    if inferring is not None and inferring.reason in {
        "EndpointUnusable",
        "PodsNotReady",
        "NodeLost",
    }:
        told = f"{inferring.reason}: {inferring.message}"
        return wrong(
            about,
            told,
            f"mend what it names (a file: submit it again) and it goes on; assay logs {item.name} has more",
        )
    return None


def _age(item: EvalRun) -> float:
    made = item.metadata.creation_timestamp
    if made is None:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(made)).total_seconds()
