"""The token a command proves itself with at a release's services: asked of the API server, renewed in time.

It is that of the release's service account for command lines, for this release alone: who may create
`serviceaccounts/token` of that account may use the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from assay.cluster.place import Place
from assay.cluster.releases import Release
from assay.domain.errors import AssayError, TransientError
from assay.kube.backoff import Backoff
from assay.kube.objects import KubeObject
from assay.kube.resources import SERVICE_ACCOUNTS
from assay.rpc.callers import Role

_SECONDS = 600
"""The least that the API server gives: whose right is taken away is out within ten minutes."""

_RENEWED_AFTER = 2 / 3


class _Slim(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Fields are named as Kubernetes does on the wire."""


class _Spec(_Slim, frozen=True, kw_only=True):
    expiration_seconds: int = _SECONDS


class _Status(_Slim, frozen=True, kw_only=True):
    token: str


class TokenAnswer(KubeObject, frozen=True, kw_only=True):
    """The API server's answer to a TokenRequest."""

    spec: _Spec
    status: _Status


class ReleaseToken:
    """The token of now; what is called with it may read it from the event loop."""

    def __init__(self, place: Place, release: Release) -> None:
        self._place = place
        self._release = release
        self._answer: TokenAnswer | None = None

    def __call__(self) -> str:
        """The token, as it was asked for last."""
        return self._answer.status.token if self._answer is not None else ""

    def ask(self) -> float:
        """Asks for another one; returns for how many seconds it is to be used. Blocks.

        Raises:
            NotFoundError: the release has no such service account.
            PermissionDeniedError: the caller may not ask for its tokens.
            UnavailableError, UnauthenticatedError, PermanentError: the API server gives none.
        """
        scope = f"{self._place.namespace}/{self._release.name}"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [f"assay/{scope}/{Role.CLI}"],
                "expirationSeconds": _SECONDS,
            },
        }
        self._answer = self._place.api.create(
            SERVICE_ACCOUNTS,
            body,
            self._place.namespace,
            of=TokenAnswer,
            name=self._release.part(Role.CLI),
            subresource="token",
        )
        return self._answer.spec.expiration_seconds * _RENEWED_AFTER

    async def keep(self, lasts: float) -> None:
        """Renews it until cancelled.

        Raises:
            AssayError: the API server gives none any more; the services say so to the next call.
        """
        backoff = Backoff(1.0, 30.0)
        while True:
            await asyncio.sleep(lasts)
            try:
                lasts = await asyncio.to_thread(self.ask)
                backoff.reset()
            except TransientError as error:
                lasts = backoff.next(error.retry_after or 0.0)


@asynccontextmanager
async def release_token(place: Place, release: Release) -> AsyncIterator[ReleaseToken]:
    """A token that stays fresh for as long as the context lasts.

    Raises:
        AssayError: as `ReleaseToken.ask`.
    """
    token = ReleaseToken(place, release)
    lasts = await asyncio.to_thread(token.ask)
    keeper = asyncio.create_task(token.keep(lasts), name="token")
    try:
        yield token
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError, AssayError):
            await keeper
