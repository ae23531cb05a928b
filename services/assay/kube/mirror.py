"""A copy of one kind of objects, kept by listing and watching: events in, objects and changes out.

No input or output happens here: `ResourceWatch` feeds it. It answers two questions that a plain copy
cannot: has a change of our own arrived yet (else one would make a second Job for a seat that has one), and
what changed while nobody was watching.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal

from assay.kube.api import Event
from assay.kube.objects import KubeObject, T, version_number

Key = tuple[str, str]
"""Namespace and name."""


def key_of(item: KubeObject) -> Key:
    """Where an object stands in a mirror."""
    return item.metadata.namespace, item.metadata.name


@dataclass(frozen=True)
class Change(Generic[T]):
    """What became of one object.

    Attributes:
        kind: to the caller, a deleted and newly created object of one name is two changes.
        object: as it is now; as it was last, when deleted.
        former: as it was before; None: it was not there.
    """

    kind: Literal["added", "modified", "deleted"]
    object: T
    former: T | None = None


@dataclass(frozen=True)
class _Write:
    version: int
    serial: int


@dataclass(frozen=True)
class _Deletion:
    uid: str
    serial: int


class Mirror(Generic[T]):
    """Objects by namespace and name. Not safe for threads by itself."""

    def __init__(self) -> None:
        self._items: dict[Key, T] = {}
        self._seen = 0
        self._writes: dict[Key, _Write] = {}
        self._deletions: dict[Key, _Deletion] = {}
        self._serial = 0
        self.synced = False
        """Whether a whole list was ever taken in."""

    @property
    def version(self) -> str:
        """Where a watch goes on from."""
        return str(self._seen)

    def get(self, key: Key) -> T | None:
        """An object; None: there is none, as far as is known."""
        return self._items.get(key)

    def items(self) -> list[T]:
        """All of them."""
        return list(self._items.values())

    def wrote(self, written: KubeObject) -> None:
        """Remembers a write of ours until it, or something later, has been seen.

        Args:
            written: the server's answer to it.
        """
        version = version_number(written.metadata.resource_version)
        key = key_of(written)
        self._serial += 1
        former = self._writes.get(key)
        if version > self._seen and (former is None or former.version < version):
            self._writes[key] = _Write(version, self._serial)

    def deleted(self, key: Key, uid: str) -> None:
        """Remembers a deletion of ours, whose answer names no version."""
        self._serial += 1
        self._deletions[key] = _Deletion(uid, self._serial)

    def trusted(self, key: Key) -> bool:
        """Whether what is here is at least as new as our own last write of that object."""
        if not self.synced or key in self._writes:
            return False
        deletion = self._deletions.get(key)
        item = self._items.get(key)
        if deletion is None or item is None or item.metadata.uid != deletion.uid:
            return True
        return item.metadata.deletion_timestamp is not None

    @property
    def all_trusted(self) -> bool:
        """Whether that holds of every object."""
        return (
            self.synced
            and not self._writes
            and all(self.trusted(key) for key in self._deletions)
        )

    def listing(self) -> int:
        """To be called before a list is asked for; the answer goes into `replaced`."""
        return self._serial

    def replaced(
        self, items: Iterable[T], resource_version: str, began: int
    ) -> list[Change[T]]:
        """Takes a whole list in; returns what differs, deletions that nobody told of included.

        Args:
            items: all objects there are.
            resource_version: of the list.
            began: what `listing` said.
        """
        now = {key_of(item): item for item in items}
        changes: list[Change[T]] = []
        for key, former in self._items.items():
            if key not in now or now[key].metadata.uid != former.metadata.uid:
                changes.append(Change("deleted", former, former))
        for key, item in now.items():
            changes += _difference(self._items.get(key), item)
        self._items = now
        # A list counts even when its version is lower: etcd may have been restored from a backup.
        self._seen = version_number(resource_version)
        # A list that was asked for after a write has it, whatever the numbers say.
        self._writes = {
            key: write
            for key, write in self._writes.items()
            if write.serial > began and write.version > self._seen
        }
        self._deletions = {
            key: deletion
            for key, deletion in self._deletions.items()
            if deletion.serial > began
        }
        self.synced = True
        return changes

    def applied(self, event: Event) -> list[Change[T]]:
        """Takes an event of the watch in; one that is older than what is here changes nothing."""
        version = version_number(event.resource_version)
        if version <= self._seen:
            return []
        self._seen = version
        for key in [k for k, write in self._writes.items() if write.version <= version]:
            del self._writes[key]
        if event.object is None:
            return []
        item: T = event.object  # type: ignore[assignment]  # the watch was asked for this kind
        return self._taken(event.type, item)

    def _taken(self, kind: str, item: T) -> list[Change[T]]:
        key = key_of(item)
        former = self._items.get(key)
        if kind == "DELETED":
            self._items.pop(key, None)
            self._deletions.pop(key, None)
            if former is None:
                return []
            # After a lost event the end may be that of a successor nobody heard of.
            same = former.metadata.uid == item.metadata.uid
            return [Change("deleted", item if same else former, former)]
        self._items[key] = item
        changes: list[Change[T]] = []
        if former is not None and former.metadata.uid != item.metadata.uid:
            changes.append(Change("deleted", former, former))
        return changes + _difference(former, item)


def _difference(former: T | None, item: T) -> list[Change[T]]:
    if former is None or former.metadata.uid != item.metadata.uid:
        return [Change("added", item)]
    if former.metadata.resource_version != item.metadata.resource_version:
        return [Change("modified", item, former)]
    return []
