"""Which releases of the chart a namespace holds, and how each is known: what its ConfigMap for us says."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from assay.cluster.place import Place
from assay.domain.errors import ConfigError, NotFoundError
from assay.kube.objects import KubeObject
from assay.kube.resources import CONFIG_MAPS, SECRETS

NAME, INSTANCE = "app.kubernetes.io/name", "app.kubernetes.io/instance"
COMPONENT, VERSION = "app.kubernetes.io/component", "app.kubernetes.io/version"
_AUTHORITY = "ca.crt"


class Data(KubeObject, frozen=True, kw_only=True):
    """A ConfigMap or a Secret."""

    data: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release of the chart.

    Attributes:
        prefix: of the names of its parts.
        version: of the platform.
        server_name: what its services' certificate says.
        tls_secret: the Secret with that certificate.
        authority: who signed it, in PEM; empty: only the Secret says.
        revision: of the definition of EvalRuns that it needs.
    """

    name: str
    prefix: str
    version: str
    server_name: str
    tls_secret: str
    authority: str
    revision: int

    def part(self, component: str) -> str:
        """The name of a part: its service account, for one."""
        return f"{self.prefix}-{component}"

    def labels(self, component: str = "") -> str:
        """The selector of what belongs to the release, or to a part of it."""
        words = [f"{NAME}=assay", f"{INSTANCE}={self.name}"]
        return ",".join([*words, f"{COMPONENT}={component}"] if component else words)


def releases(place: Place) -> list[Release]:
    """All releases of a namespace, by name.

    Raises:
        UnavailableError, PermissionDeniedError, UnauthenticatedError: the API server does not say.
    """
    found = place.api.list(
        CONFIG_MAPS, place.namespace, of=Data, labels=f"{NAME}=assay,{COMPONENT}=cli"
    )
    return sorted(map(_release, found.items), key=lambda release: release.name)


def release_of(place: Place, name: str | None) -> Release:
    """The release that a user means.

    Args:
        place: where it is.
        name: None: the only one.

    Raises:
        ConfigError: there are several and none is named.
        NotFoundError: there is none, or none of that name.
        UnavailableError, PermissionDeniedError, UnauthenticatedError: the API server does not say.
    """
    found = releases(place)
    names = ", ".join(release.name for release in found)
    if name is None and len(found) > 1:
        raise ConfigError(
            "--release",
            f"is needed: namespace {place.namespace} has {names}",
            f"write --release {found[0].name}, or the one you mean",
        )
    for release in found:
        if name in {None, release.name}:
            return release
    asked = f"no release {name}" if name else "no release of the chart"
    raise NotFoundError(
        f"there is {asked} in namespace {place.namespace}"
        + (f", only {names}" if found else ""),
        cure=f"helm install {name or 'demo'} charts/assay --namespace {place.namespace}, or name "
        "another namespace with --namespace",
    )


def authority_of(place: Place, release: Release) -> str:
    """Who signed the certificates of a release's services, in PEM.

    Raises:
        ConfigError: neither its ConfigMap nor its Secret says.
        UnavailableError, NotFoundError, PermissionDeniedError, UnauthenticatedError: the Secret cannot be
            read.
    """
    if release.authority:
        return release.authority
    secret = place.api.get(SECRETS, release.tls_secret, place.namespace, of=Data)
    try:
        found = base64.b64decode((secret.data or {}).get(_AUTHORITY, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        found = ""
    if not found:
        raise ConfigError(
            f"Secret {release.tls_secret}",
            f"has no {_AUTHORITY}, so nobody knows whom to believe",
            f"put the authority that signed its certificate there as {_AUTHORITY}",
        )
    return found


def _release(found: Data) -> Release:
    labels, data = found.metadata.labels or {}, found.data or {}
    revision = data.get("definition", "")
    return Release(
        name=labels.get(INSTANCE, ""),
        prefix=data.get("name", found.metadata.name.removesuffix("-cli")),
        version=labels.get(VERSION, ""),
        server_name=data.get("server-name", ""),
        tls_secret=data.get("tls-secret", ""),
        authority=data.get(_AUTHORITY, ""),
        revision=int(revision) if revision.isdecimal() else 0,
    )
