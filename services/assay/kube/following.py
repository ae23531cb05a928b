"""One object, now and after each change, for a command that waits for something to become of it.

A process that decides by what it sees takes `ResourceWatch`; this keeps nothing and runs in its caller.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from assay.domain.errors import NotFoundError, TransientError, UnavailableError
from assay.kube.api import KubeApi
from assay.kube.backoff import Backoff
from assay.kube.objects import T
from assay.kube.refusals import GoneError
from assay.kube.resources import Resource

_STREAM_SECONDS = 300


def follow(
    api: KubeApi,
    resource: Resource,
    name: str,
    namespace: str,
    *,
    of: type[T],
    seconds: float | None = None,
) -> Iterator[T]:
    """The object now and after each change; a watch that breaks is taken up again, nothing is told twice.

    Args:
        api: whom to ask.
        resource: the kind.
        name: of the object.
        namespace: of it.
        of: what to decode it into.
        seconds: how long to go on at most; None: for ever.

    Raises:
        NotFoundError: there is none of that name, or not any more.
        UnavailableError: the time is up.
        PermissionDeniedError, UnauthenticatedError, PermanentError: as the API server refuses.
    """
    until = None if seconds is None else time.monotonic() + seconds
    backoff = Backoff(1.0, 15.0)
    told = ""
    while True:
        # A server that ends each watch at once is not asked without pause.
        wait = backoff.next()
        try:
            for item in _changes(api, resource, name, namespace, of=of, until=until):
                backoff.reset()
                if item.metadata.resource_version != told:
                    told = item.metadata.resource_version
                    yield item
        except GoneError:
            pass
        except TransientError as error:
            wait = max(wait, error.retry_after or 0.0)
        if until is not None and time.monotonic() + wait >= until:
            raise UnavailableError(
                f"gave up watching {resource} {name} after {seconds:g} s"
            )
        time.sleep(wait)


def _changes(
    api: KubeApi,
    resource: Resource,
    name: str,
    namespace: str,
    *,
    of: type[T],
    until: float | None,
) -> Iterator[T]:
    """From a list to the end of the watch after it."""
    listing = api.list(resource, namespace, of=of)
    found = next((item for item in listing.items if item.metadata.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no {resource} {name} in namespace {namespace}")
    yield found
    left = _STREAM_SECONDS if until is None else int(until - time.monotonic())
    if left < 1:
        return
    watch = api.watch(
        resource,
        namespace,
        of=of,
        since=listing.resource_version,
        seconds=min(left, _STREAM_SECONDS),
    )
    for event in watch:
        if event.object is None or event.object.metadata.name != name:
            continue
        if event.type == "DELETED":
            raise NotFoundError(
                f"{resource} {name} in namespace {namespace} was deleted"
            )
        item: T = event.object  # type: ignore[assignment]  # the watch was asked for this kind
        yield item
