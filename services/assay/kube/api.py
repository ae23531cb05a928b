"""What can be asked of the Kubernetes API, verb by verb, typed.

The controller, the Lease and the CLI call it from threads of their own. Objects go out as mappings (what
is sent is what stands there) and come back as the caller's slim structs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from assay.kube.objects import (
    KubeObject,
    Listing,
    Page,
    Status,
    T,
    WatchLine,
    decoded,
    unreadable,
)
from assay.kube.refusals import GoneError, Request, refusal
from assay.kube.resources import PODS, Resource
from assay.kube.transport import Lines, Transport

PAGE_ITEMS = 500
"""As kubectl asks; a page of that many pods is some megabytes."""

Propagation = Literal["Background", "Foreground", "Orphan"]
PatchKind = Literal["merge", "apply"]
_CONTENT_TYPES: Mapping[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    # JSON is YAML, too.
    "apply": "application/apply-patch+yaml",
}


@dataclass(frozen=True)
class Event:
    """One line of a watch.

    Attributes:
        type: `ADDED`, `MODIFIED`, `DELETED`, or `BOOKMARK`, which moves only the version.
        resource_version: the watch may go on from here.
        object: None for a bookmark.
    """

    type: str
    resource_version: str
    object: KubeObject | None


class KubeApi:
    """The API server's verbs over one `Transport`.

    Every method raises what `Transport.ask` raises, GoneError excepted where it is not named, and
    CorruptError for an answer that cannot be read.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        of: type[T],
    ) -> T:
        """One object.

        Raises:
            NotFoundError: there is none of that name.
        """
        request = Request("get", resource, namespace, name)
        return decoded(self._transport.ask(request, "GET"), of, str(request))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        of: type[T],
        labels: str = "",
        limit: int = PAGE_ITEMS,
    ) -> Listing[T]:
        """All objects of a kind, as of one version that is not older than this call.

        Args:
            resource: the kind.
            namespace: None: all of them.
            of: what to decode each object into.
            labels: a selector; empty: all.
            limit: objects asked for at a time; 0: all at once.
        """
        try:
            return self._listed(resource, namespace, of, labels, limit)
        except GoneError:
            # Reading the pages took longer than the server remembers: all at once, as client-go does.
            return self._listed(resource, namespace, of, labels, 0)

    def _listed(
        self,
        resource: Resource,
        namespace: str | None,
        of: type[T],
        labels: str,
        limit: int,
    ) -> Listing[T]:
        items: list[T] = []
        version = ""
        for page in self._pages(resource, namespace, of, labels, limit):
            items += page.items or []
            version = page.metadata.resource_version
        return Listing(resource_version=version, items=items)

    def _pages(
        self,
        resource: Resource,
        namespace: str | None,
        of: type[T],
        labels: str,
        limit: int,
    ) -> Iterator[Page[T]]:
        request = Request("list", resource, namespace)
        query = {"labelSelector": labels} if labels else {}
        if limit:
            query["limit"] = str(limit)
        while True:
            data = self._transport.ask(request, "GET", query)
            try:
                page = msgspec.json.decode(data, type=Page[of])  # type: ignore[valid-type]
            except msgspec.MsgspecError as error:
                raise unreadable(str(request), error) from error
            yield page
            if not page.metadata.continue_:
                return
            query["continue"] = page.metadata.continue_

    def create(
        self,
        resource: Resource,
        body: Mapping[str, Any],
        namespace: str | None = None,
        *,
        of: type[T],
        name: str = "",
        subresource: str = "",
    ) -> T:
        """Makes an object.

        Args:
            resource: the kind.
            body: the object.
            namespace: None: of a kind that has none.
            of: what to decode the answer into.
            name: with a subresource (such as `token` of a service account): whose.
            subresource: empty: an object of the kind itself.

        Raises:
            ConflictError: there is one of that name.
        """
        request = Request("create", resource, namespace, name, subresource)
        whole = _whole(resource, body)
        data = self._transport.ask(request, "POST", None, msgspec.json.encode(whole))
        return decoded(data, of, str(request))

    def merge(
        self,
        resource: Resource,
        name: str,
        change: Mapping[str, Any],
        namespace: str | None = None,
        *,
        of: type[T],
        subresource: str = "",
    ) -> T:
        """Changes the fields that `change` names (None deletes one); status by `subresource="status"`.

        Raises:
            ConflictError: `change` names a `metadata.resourceVersion`, which is not the newest.
        """
        request = Request("patch", resource, namespace, name, subresource)
        return decoded(self._patched(request, change, "merge", None), of, str(request))

    def apply(
        self,
        resource: Resource,
        name: str,
        body: Mapping[str, Any],
        namespace: str | None = None,
        *,
        of: type[T],
        manager: str,
        force: bool = False,
        subresource: str = "",
    ) -> T:
        """Server-side apply: makes `manager`'s fields be those of `body`, creating the object if need be.

        Args:
            resource: the kind.
            name: of the object.
            body: all the fields that are ours; those we had and leave out are removed. Its kind and name
                need not stand in it.
            namespace: None: of a kind that has none.
            of: what to decode the answer into.
            manager: one word per writer.
            force: takes fields over that others have written.
            subresource: such as `status`.

        Raises:
            ConflictError: another manager has a field of ours, and `force` is off.
        """
        request = Request("patch", resource, namespace, name, subresource)
        metadata = {"name": name, **body.get("metadata", {})}
        whole = _whole(resource, {**body, "metadata": metadata})
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        return decoded(self._patched(request, whole, "apply", query), of, str(request))

    def _patched(
        self,
        request: Request,
        body: Mapping[str, Any],
        kind: PatchKind,
        query: Mapping[str, str] | None,
    ) -> bytes:
        return self._transport.ask(
            request, "PATCH", query, msgspec.json.encode(body), _CONTENT_TYPES[kind]
        )

    def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        propagation: Propagation = "Background",
    ) -> None:
        """Deletes an object.

        Args:
            resource: the kind.
            name: of the object.
            namespace: None: of a kind that has none.
            uid: only if it is still that one; empty: whatever has the name.
            propagation: what becomes of its children.

        Raises:
            NotFoundError: there is none of that name.
            ConflictError: it is another one by now.
        """
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        request = Request("delete", resource, namespace, name)
        self._transport.ask(request, "DELETE", None, msgspec.json.encode(options))

    def log(
        self,
        pod: str,
        namespace: str,
        *,
        container: str = "",
        follow: bool = False,
        patience: float = 3600.0,
    ) -> Lines:
        """The lines of a container's log; the caller closes it.

        Args:
            pod: its name.
            namespace: of the pod.
            container: empty: the pod's only one.
            follow: goes on until the container ends.
            patience: seconds without a line after which it counts as broken.
        """
        query = {"container": container} if container else {}
        if follow:
            query["follow"] = "true"
        request = Request("get", PODS, namespace, pod, "log")
        return self._transport.stream(request, query, patience, is_text=True)

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        of: type[T],
        since: str,
        labels: str = "",
        seconds: int = 300,
        patience: float = 150.0,
    ) -> Watch:
        """What happens after a version, as it happens.

        Args:
            resource: the kind.
            namespace: None: all of them.
            of: what to decode each object into.
            since: the version of a list, or of an event of an earlier watch.
            labels: a selector, the same as of the list.
            seconds: the server ends it after that long.
            patience: seconds without an event or a bookmark after which it counts as broken; the server
                sends a bookmark each minute.

        Raises:
            GoneError: `since` is forgotten: list again.
        """
        request = Request("watch", resource, namespace)
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": since,
            "timeoutSeconds": str(seconds),
        }
        if labels:
            query["labelSelector"] = labels
        return Watch(request, self._transport.stream(request, query, patience), of)


def _whole(resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
    """An object with its kind, where it does not say its own (a subresource's is another)."""
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


class Watch:
    """The events of one request; one thread iterates, any thread may close."""

    def __init__(self, request: Request, lines: Lines, of: type[KubeObject]) -> None:
        self._request = request
        self._lines = lines
        self._of = of

    def __iter__(self) -> Iterator[Event]:
        """Events in the order in which they happened; ends when the server ends the stream.

        Raises:
            GoneError: the server has forgotten the version that it stands at: list again.
            UnavailableError: the stream broke.
            CorruptError: a line that is no event.
        """
        try:
            for line in self._lines:
                yield self._event(line)
        finally:
            self._lines.give_up()

    def close(self) -> None:
        """Ends it, waking the thread that waits for an event."""
        self._lines.close()

    def _event(self, line: bytes) -> Event:
        what = str(self._request)
        try:
            told = msgspec.json.decode(line, type=WatchLine)
            if told.type == "ERROR":
                status = msgspec.json.decode(told.object, type=Status)
                raise refusal(self._request, status.code, bytes(told.object))
        except msgspec.MsgspecError as error:
            raise unreadable(what, error) from error
        if told.type == "BOOKMARK":
            moved = decoded(told.object, KubeObject, what)
            return Event(told.type, moved.metadata.resource_version, None)
        found = decoded(told.object, self._of, what)
        return Event(told.type, found.metadata.resource_version, found)
