"""What comes from the API server, as slim structs, and how versions of one object compare.

Rooms above subclass `KubeObject` with the fields they look at; what is not named is skipped while decoding.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from assay.domain.errors import CorruptError


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Python does here and as Kubernetes does on the wire."""


class OwnerReference(_Slim, frozen=True, kw_only=True):
    """Whose child an object is."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False


class ObjectMeta(_Slim, frozen=True, kw_only=True):
    """Who an object is, and which version of it this is."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class KubeObject(_Slim, frozen=True, kw_only=True):
    """Any object; subclasses add the fields they need."""

    metadata: ObjectMeta = ObjectMeta()


T = TypeVar("T", bound=KubeObject)


class ListMeta(_Slim, frozen=True, kw_only=True):
    """Where a list stands."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class Page(_Slim, Generic[T], frozen=True, kw_only=True):
    """A part of a list."""

    metadata: ListMeta = ListMeta()
    items: list[T] | None = None


class Listing(_Slim, Generic[T], frozen=True, kw_only=True):
    """A whole list, as it stood at one version."""

    resource_version: str
    items: list[T]


class Cause(_Slim, frozen=True, kw_only=True):
    """One thing that is wrong with a refused object."""

    field: str = ""
    message: str = ""


class Details(_Slim, frozen=True, kw_only=True):
    """What a refusal says beside its message."""

    kind: str = ""
    causes: list[Cause] | None = None
    retry_after_seconds: int = 0


class Status(_Slim, frozen=True, kw_only=True):
    """The API server's refusal, in its own words."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: Details | None = None


class WatchLine(_Slim, frozen=True, kw_only=True):
    """A line of a watch; its object is decoded once its type is known."""

    type: str
    object: msgspec.Raw


def decoded(data: bytes | msgspec.Raw, of: type[T], what: str) -> T:
    """The object in an answer.

    Raises:
        CorruptError: it does not look as it must.
    """
    try:
        return msgspec.json.decode(data, type=of)
    except msgspec.MsgspecError as error:
        raise unreadable(what, error) from error


def unreadable(what: str, error: Exception) -> CorruptError:
    """An answer that is not what the API promises."""
    return CorruptError(
        f"cannot read the answer of the API server about {what}: {error}",
        cure="see that this address is a Kubernetes API server of a supported version",
    )


def version_number(resource_version: str) -> int:
    """A resourceVersion as a number: versions of one kind compare as numbers do.

    Kubernetes has promised that since 1.35, and etcd's revisions have always done it.

    Raises:
        CorruptError: it is no number.
    """
    if not resource_version.isdecimal():
        raise CorruptError(
            f"cannot compare the resourceVersion {resource_version!r}: it is no number",
            cure="use an API server that keeps its objects in etcd",
        )
    return int(resource_version)
