"""`assay doctor`: whether everything that a run in the cluster needs is there, from the outside inwards.

What a failed check makes pointless is not looked at: the first line that fails is the one to mend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from assay.cluster import health
from assay.cluster.finding import Finding, failed, fine, wrong
from assay.cluster.place import Place
from assay.cluster.releases import Release, release_of, releases
from assay.cluster.rights import rights
from assay.cluster.session import Session, session_with
from assay.cluster.tokens import ReleaseToken
from assay.domain.errors import (
    AssayError,
    StoreFullError,
    StoreUnavailableError,
)
from assay.kube.objects import KubeObject
from assay.kube.resources import VERSION

_OLDEST = (1, 31)
"""As the chart says."""


class _Info(KubeObject, frozen=True, kw_only=True):
    major: str = ""
    minor: str = ""
    git_version: str = ""


async def examine(
    place: Place, release: str | None, *, version: str
) -> AsyncIterator[Finding]:
    """The findings, one after the other as they are had.

    Args:
        place: where to look.
        release: of the chart; None: all that are there.
        version: of this command line.
    """
    findings = await asyncio.to_thread(list, _outside(place))
    for finding in findings:
        yield finding
    if any(finding.verdict == "FAIL" for finding in findings):
        return
    try:
        chosen = await asyncio.to_thread(_releases, place, release)
    except AssayError as error:
        yield failed("release", error)
        return
    for one in chosen:
        for finding in await asyncio.to_thread(list, _objects(place, one, version)):
            yield finding
        async for finding in _services(place, one):
            yield finding
    for finding in await asyncio.to_thread(list, _runs(place)):
        yield finding


def _outside(place: Place) -> Iterator[Finding]:
    access = place.access
    yield fine("kubeconfig", f"{access.server}, namespace {place.namespace}")
    try:
        info = place.api.get(VERSION, "", of=_Info)
    except AssayError as error:
        yield failed("API server", error)
        return
    found = tuple(
        int(w) if w.isdecimal() else 0 for w in (info.major, info.minor.strip("+"))
    )
    if found < _OLDEST:
        least = ".".join(map(str, _OLDEST))
        yield wrong(
            "API server",
            f"is {info.git_version}",
            f"take a cluster of at least {least}",
        )
    else:
        yield fine("API server", f"answers, {info.git_version}")


def _releases(place: Place, name: str | None) -> list[Release]:
    return (releases(place) if name is None else None) or [release_of(place, name)]


def _objects(place: Place, release: Release, version: str) -> Iterator[Finding]:
    """What the API server knows of a release."""
    about = f"release {release.name}"
    if release.version == version:
        yield fine(about, f"version {release.version}, as this command line")
    else:
        yield wrong(
            about,
            f"is of version {release.version}, this command line of {version}",
            "helm upgrade the one, or install the other in that version",
        )
    try:
        yield health.definition(place, release)
        yield from health.services(place, release)
        yield health.images(place, release)
        yield from rights(place, release)
    except AssayError as error:
        yield failed(about, error)


async def _services(place: Place, release: Release) -> AsyncIterator[Finding]:
    """What only a call to the services of a release can tell."""
    about = f"token for release {release.name}"
    try:
        await asyncio.to_thread(ReleaseToken(place, release).ask)
    except AssayError as error:
        yield failed(about, error)
        return
    yield fine(about, "the API server gives one")
    for component in ("aggregator", "dataset"):
        about = f"calls to the {component} of release {release.name}"
        try:
            async with session_with(place, release, component) as session:
                yield await _called(session, component, about)
        except AssayError as error:
            yield failed(about, error)


async def _called(session: Session, component: str, about: str) -> Finding:
    """Whether a service answers over the port-forward, and reaches its store to do so."""
    try:
        if component == "dataset":
            count = len(await session.ask(session.datasets.list))
            return fine(about, f"answered; the store has {count} prepared datasets")
        results = session.results
        page = await session.ask(lambda: results.page(size=1))
    except (StoreUnavailableError, StoreFullError) as error:
        return wrong(
            about,
            f"answered, but its store does not: {error.message}",
            error.cure or "see store.endpoint, its Secret and its network",
        )
    kept = "holds runs" if page.runs else "holds no run yet"
    return fine(about, f"answered; the store {kept}")


def _runs(place: Place) -> Iterator[Finding]:
    try:
        names = {release.name for release in releases(place)}
        yield from health.runs(place, names)
    except AssayError as error:
        yield failed("runs", error)
