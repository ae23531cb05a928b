"""Who calls: from the token of a call to a role, and what that role may do.

Servers are given an `Authenticator`: on one machine every part shares one random token, in a cluster
each proves itself with a projected service-account token, checked here against the cluster's published
keys (`cluster_tokens`). The interceptor asks once per call.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from assay.domain.errors import PermissionDeniedError, UnauthenticatedError

TokenSource = Callable[[], str]
"""Gives the token of the next call; may block for as long as reading a small file takes."""


class Role(StrEnum):
    """What a part of the platform is, as the last word of its token's audience."""

    INFER = "infer"
    JUDGE = "judge"
    SCORER = "scorer"
    CONTROLLER = "controller"
    CLI = "cli"


PLATFORM_ROLES = frozenset({Role.CONTROLLER, Role.CLI})
"""Roles that are no run's: the token's audience names the release."""

_ALLOWED: Mapping[str, frozenset[Role]] = {
    "assay.v1.DatasetService": PLATFORM_ROLES,
    "assay.v1.RunService": PLATFORM_ROLES,
    "assay.v1.WorkService": frozenset({Role.INFER, Role.JUDGE}),
    "assay.v1.ScoreService": frozenset({Role.SCORER}),
    "assay.v1.WorkerService": PLATFORM_ROLES,
}
"""Who may call which service; one that is not named may be called by nobody."""

_CLI_MAY = {
    "assay.v1.RunService": frozenset(
        {"Get", "Watch", "List", "Report", "Retry", "Cancel"}
    ),
}
"""Of these services a person's command line may call these methods: what a run is, its EvalRun says."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        role: None: a part of this machine, which may do everything.
        run_id: the only run it may speak about; empty: any.
    """

    role: Role | None = None
    run_id: str = ""

    def check_method(self, method: str) -> None:
        """Sees that the caller may make this call (`/package.Service/Method`).

        Raises:
            PermissionDeniedError: its role may not.
        """
        _, service, name = method.split("/")
        if self.role is None:
            return
        allowed = self.role in _ALLOWED.get(service, ())
        if self.role is Role.CLI:
            allowed &= name in _CLI_MAY.get(service, {name})
        if not allowed:
            raise PermissionDeniedError(
                f"a caller of role {self.role} may not call {method}"
            )

    def check_message(self, message: Any) -> None:
        """Sees that a message speaks of the caller's own run, where it speaks of one.

        Raises:
            PermissionDeniedError: it speaks of another.
        """
        if self.run_id and (told := _run_of(message)) not in {None, self.run_id}:
            raise PermissionDeniedError(
                f"a caller of run {self.run_id} may not speak of run {told}"
            )


class Authenticator(Protocol):
    """Tells who calls."""

    async def caller(self, token: str) -> Caller:
        """The caller that a token proves.

        Raises:
            UnauthenticatedError: it proves nobody.
            UnavailableError: it cannot be checked now.
        """
        ...


class SharedToken:
    """All parts of one machine share a token that never leaves it."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def caller(self, token: str) -> Caller:
        """See Authenticator."""
        if not hmac.compare_digest(token.encode(), self._token):
            raise UnauthenticatedError("the call carries no valid token")
        return Caller()


def _run_of(message: Any) -> str | None:
    """The run that a request speaks of; a stream's first message carries it in its claim."""
    if message.DESCRIPTOR.fields_by_name.get("claim") and message.HasField("claim"):
        return str(message.claim.run_id)
    told = getattr(message, "run_id", None)
    return None if told is None else str(told)
