"""Who calls, in a cluster: projected service-account tokens, checked against the cluster's published keys.

A server in a cluster makes a `ServiceAccountTokens` over `ClusterKeys`; nothing of it is imported on one
machine.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jwt
from jwt import PyJWK, PyJWKSet

from assay.domain.errors import UnauthenticatedError, UnavailableError
from assay.rpc.callers import PLATFORM_ROLES, Caller, Role, TokenSource

ASK_AGAIN_SECONDS = 10.0
"""An unknown key id has the keys fetched again, but not more often than that: ids are free to invent."""

_SECONDS = aiohttp.ClientTimeout(total=10)


class KeySource(Protocol):
    """Where the cluster's public keys come from."""

    async def key(self, key_id: str) -> PyJWK | None:
        """The key of that id; None: the cluster has none.

        Raises:
            UnavailableError: the cluster does not answer.
        """
        ...


class ServiceAccountTokens:
    """Projected tokens of service accounts, checked without asking the API server about each.

    A token counts when the cluster's key signed it, it has not expired, its issuer is the cluster's, its
    audience is `assay/<run id>/<role>` (or `assay/<namespace>/<release>/<role>` for the platform's own
    parts), and its subject is the service account that the release gives to that role.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        platform: str,
        accounts: Mapping[Role, str],
    ) -> None:
        """Makes the check of one release.

        Args:
            keys: the cluster's public keys.
            issuer: the cluster's `iss`.
            platform: `<namespace>/<release>`.
            accounts: subject (`system:serviceaccount:<namespace>:<name>`) of each role.
        """
        self._keys = keys
        self._issuer = issuer
        self._platform = platform
        self._accounts = accounts

    async def caller(self, token: str) -> Caller:
        """See Authenticator."""
        claims = await self._claims(token)
        for audience in claims["aud"]:
            caller = self._named(str(audience))
            if caller is None or caller.role is None:
                continue
            if claims["sub"] == self._accounts.get(caller.role):
                return caller
        raise UnauthenticatedError(
            "the token's audience and service account are none of this release's"
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            key = await self._keys.key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise UnauthenticatedError("the token is signed with an unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                # The key says which algorithm it is for; what the token says counts for nothing.
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                options={
                    "require": ["exp", "iss", "aud", "sub"],
                    "verify_aud": False,
                },
            )
        except jwt.PyJWTError as error:
            raise UnauthenticatedError(f"the token does not count: {error}") from None
        audience = claims["aud"]
        claims["aud"] = audience if isinstance(audience, list) else [audience]
        return claims

    def _named(self, audience: str) -> Caller | None:
        """The caller that an audience names; None: it is none of ours."""
        scope, _, word = audience.removeprefix("assay/").rpartition("/")
        if scope and audience.startswith("assay/"):
            with suppress(ValueError):
                role = Role(word)
                if role in PLATFORM_ROLES and scope == self._platform:
                    return Caller(role)
                if role not in PLATFORM_ROLES and "/" not in scope:
                    return Caller(role, scope)
        return None


class ClusterKeys:
    """Fetches the keys when one is asked for that is not known yet."""

    def __init__(
        self,
        url: str,
        token: TokenSource | None = None,
        ca_file: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Fetches nothing yet.

        Args:
            url: of the key set.
            token: proves this process to the API server; None: the keys are public.
            ca_file: who signed the API server's certificate; None: those the system trusts.
            clock: seconds that never go back.
        """
        self._url = url
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._clock = clock
        self._keys: dict[str, PyJWK] = {}
        self._fetched: float | None = None
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> PyJWK | None:
        """See KeySource."""
        if key_id not in self._keys:
            async with self._lock:
                if key_id not in self._keys and self._may_ask():
                    await self._fetch()
        return self._keys.get(key_id)

    def _may_ask(self) -> bool:
        now = self._clock()
        return self._fetched is None or now - self._fetched >= ASK_AGAIN_SECONDS

    async def _fetch(self) -> None:
        headers = {}
        if self._token is not None:
            headers["authorization"] = f"Bearer {await asyncio.to_thread(self._token)}"
        try:
            async with (
                aiohttp.ClientSession(timeout=_SECONDS) as session,
                session.get(self._url, headers=headers, ssl=self._tls) as answer,
            ):
                answer.raise_for_status()
                told = await answer.json(content_type=None)
            found = {key.key_id: key for key in PyJWKSet.from_dict(told).keys}
        except (aiohttp.ClientError, TimeoutError, ValueError, jwt.PyJWTError) as error:
            raise UnavailableError(
                f"cannot fetch the cluster's keys from {self._url}: {error or type(error).__name__}",
                cure="let this service account read /openid/v1/jwks"
                " (cluster role system:service-account-issuer-discovery)",
            ) from error
        self._keys = {key_id: key for key_id, key in found.items() if key_id}
        self._fetched = self._clock()
