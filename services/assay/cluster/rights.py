"""What RBAC lets the caller do, asked of the API server about each command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from assay.cluster.finding import Finding, fine, wrong
from assay.cluster.place import Place
from assay.cluster.releases import Release
from assay.kube.objects import KubeObject
from assay.kube.resources import (
    ACCESS_REVIEWS,
    CONFIG_MAPS,
    EVAL_RUNS,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Resource,
)
from assay.rpc.callers import Role


class _Outcome(msgspec.Struct, frozen=True):
    allowed: bool = False


class Review(KubeObject, frozen=True, kw_only=True):
    """The API server's answer to a SelfSubjectAccessReview."""

    status: _Outcome = _Outcome()


@dataclass(frozen=True, slots=True)
class _Right:
    verb: str
    resource: Resource
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        named = f" {self.name}" if self.name else ""
        return f"{self.verb} {self.resource}{part}{named}"


def rights(place: Place, release: Release) -> Iterator[Finding]:
    """One finding for each group of commands.

    Raises:
        UnavailableError, UnauthenticatedError, PermanentError: the API server does not say.
    """
    answers: dict[_Right, bool] = {}
    for about, needed in _needed(release).items():
        for right in needed:
            if right not in answers:
                answers[right] = _allowed(place, right)
        missing = [str(right) for right in needed if not answers[right]]
        if not missing:
            yield fine(about, "allowed")
            continue
        yield wrong(
            about,
            f"you may not {', '.join(missing)} in namespace {place.namespace}",
            "have a Role grant these verbs, or take another context",
        )


def _needed(release: Release) -> dict[str, list[_Right]]:
    """What each group of commands asks the API server for."""
    read = [_Right("get", EVAL_RUNS), _Right("list", EVAL_RUNS)]
    account = release.part(Role.CLI)
    return {
        "rights of list, status, watch, wait": [*read, _Right("watch", EVAL_RUNS)],
        "rights of submit": [
            _Right("list", CONFIG_MAPS),
            *(_Right(verb, EVAL_RUNS) for verb in ("get", "create", "patch")),
            *(_Right(verb, SECRETS) for verb in ("get", "create", "patch")),
        ],
        "rights of logs": [*read, _Right("list", PODS), _Right("get", PODS, "log")],
        "rights of report, cancel, retry": [
            _Right("list", CONFIG_MAPS),
            _Right("list", PODS),
            # A WebSocket begins with GET; since 1.35 that counts as create, as with SPDY.
            _Right("get", PODS, "portforward"),
            _Right("create", PODS, "portforward"),
            _Right("create", SERVICE_ACCOUNTS, "token", account),
        ],
    }


def _allowed(place: Place, right: _Right) -> bool:
    attributes = {
        "namespace": place.namespace,
        "verb": right.verb,
        "group": right.resource.group,
        "version": right.resource.version,
        "resource": right.resource.plural,
        "subresource": right.subresource,
        "name": right.name,
    }
    body = {"spec": {"resourceAttributes": attributes}}
    return place.api.create(ACCESS_REVIEWS, body, of=Review).status.allowed
