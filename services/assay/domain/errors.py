"""Every error that crosses a room, in one tree.

    AssayError
    ├── TransientError            trying again may help; may name `retry_after`
    │   ├── UnavailableError      a service of ours cannot be reached or is shutting down
    │   ├── StoreUnavailableError the store did not answer, or answered with a server error
    │   ├── SourceUnavailableError a dataset's source did not answer or was cut
    │   ├── NotLeaderError        this aggregator may no longer acknowledge
    │   ├── LeaseLostError        the lease is unknown or has expired
    │   └── ChangedError          what is read in pieces is not what it was
    └── PermanentError            trying again unchanged cannot help
        ├── ConfigError           a field of the user's file (path, reason, cure)
        ├── DatasetError          a dataset that cannot be had or used (name, reason, cure)
        │   └── DigestMismatchError
        ├── NotFoundError         a run, dataset or object that does not exist
        ├── ConflictError         exists already, with other content
        ├── HeldError             somebody else holds the run (names the holder)
        ├── UnauthenticatedError  a call without a valid token
        ├── StoreFullError        no space left, or a read-only store
        ├── CorruptError          bytes that do not match their digest or checksum
        ├── SealError             a child could not be sealed, or broke its limits
        ├── ScorerError           upstream's evaluate() failed as a whole
        ├── EndpointError         the model's endpoint as a whole is unusable
        ├── EndpointChangedError  a model that has answered is asked elsewhere now
        └── RunError              a run that did not end as it was asked for

Each class fixes `reason` (the machine word that travels in google.rpc.ErrorInfo) and `code` (the
canonical gRPC code by name; `rpc/status.py` is the only place that maps it). A message says what was
attempted, on which object, and the cause; `cure` says what the reader can do about it.
"""

from __future__ import annotations

from typing import ClassVar


class AssayError(Exception):
    """The root: nothing raises it directly."""

    reason: ClassVar[str] = "INTERNAL"
    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, cure: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} ({self.cure})" if self.cure else self.message


class TransientError(AssayError):
    """Trying again, unchanged, may help."""

    reason = "TRANSIENT"
    code = "UNAVAILABLE"

    def __init__(
        self, message: str, *, cure: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, cure=cure)
        self.retry_after = retry_after
        """Seconds the other side asked us to wait; None: it did not say."""


class UnavailableError(TransientError):
    """A service of ours cannot be reached or is going away."""

    reason = "UNAVAILABLE"


class StoreUnavailableError(TransientError):
    """The store did not answer, or answered with a server error."""

    reason = "STORE_UNAVAILABLE"


class SourceUnavailableError(TransientError):
    """A dataset's source did not answer, or was cut."""

    reason = "SOURCE_UNAVAILABLE"


class NotLeaderError(TransientError):
    """This aggregator's claim has passed its deadline: it must not acknowledge anything."""

    reason = "NOT_LEADER"


class LeaseLostError(TransientError):
    """The lease is unknown here or has expired; its samples may be leased to others."""

    reason = "LEASE_LOST"
    code = "ABORTED"


class ChangedError(TransientError):
    """What is read in pieces is not what it was: begin it again."""

    reason = "CHANGED"
    code = "ABORTED"


class PermanentError(AssayError):
    """Trying again, unchanged, cannot help."""

    reason = "PERMANENT"
    code = "FAILED_PRECONDITION"


class ConfigError(PermanentError):
    """A field of the user's file: where it stands, why it is refused, what to write instead.

    Several fields refused at once are one error: the first one's, with the others in `more`.
    """

    reason = "INVALID_CONFIG"
    code = "INVALID_ARGUMENT"

    def __init__(
        self, path: str, why: str, cure: str, *, more: tuple[ConfigError, ...] = ()
    ) -> None:
        super().__init__(f"{path}: {why}", cure=cure)
        self.path = path
        self.why = why
        self.more = more

    @property
    def problems(self) -> tuple[ConfigError, ...]:
        """Every refused field, this one first."""
        return (self, *self.more)

    def __str__(self) -> str:
        return "\n".join([super().__str__(), *map(str, self.more)])


class DatasetError(PermanentError):
    """A dataset that cannot be had or used."""

    reason = "DATASET_UNUSABLE"


class DigestMismatchError(DatasetError):
    """A dataset file whose md5 or sha256 is not the expected one."""

    reason = "DIGEST_MISMATCH"


class NotFoundError(PermanentError):
    """A run, dataset or object that does not exist."""

    reason = "NOT_FOUND"
    code = "NOT_FOUND"


class ConflictError(PermanentError):
    """It exists already, with other content."""

    reason = "CONFLICT"
    code = "ALREADY_EXISTS"


class HeldError(PermanentError):
    """Somebody else holds the run; the message names the holder."""

    reason = "HELD"


class UnauthenticatedError(PermanentError):
    """A call without a valid token."""

    reason = "UNAUTHENTICATED"
    code = "UNAUTHENTICATED"


class PermissionDeniedError(PermanentError):
    """A caller that proved who it is, and may not do that."""

    reason = "PERMISSION_DENIED"
    code = "PERMISSION_DENIED"


class StoreFullError(PermanentError):
    """No space left, or a store that may only be read."""

    reason = "STORE_FULL"
    code = "RESOURCE_EXHAUSTED"


class CorruptError(PermanentError):
    """Bytes that do not match their digest or checksum."""

    reason = "CORRUPT"
    code = "DATA_LOSS"


class SealError(PermanentError):
    """A child that could not be sealed, or that broke its limits."""

    reason = "SEAL"


class ScorerError(PermanentError):
    """Upstream's `evaluate()` failed as a whole; the score is withheld with this reason."""

    reason = "SCORER"


class EndpointError(PermanentError):
    """The model's endpoint as a whole is unusable: no sample's failure."""

    reason = "ENDPOINT"


class EndpointChangedError(PermanentError):
    """A model that has answered is asked at another address: its weights may be others."""

    reason = "ENDPOINT_CHANGED"


class RunError(PermanentError):
    """A run that failed, stopped, or ended below its coverage; the message names its report."""

    reason = "RUN"


def error_classes() -> dict[str, type[AssayError]]:
    """Every class of the tree by its `reason`, for turning a status back into an error."""
    found: dict[str, type[AssayError]] = {}
    queue: list[type[AssayError]] = [AssayError]
    while queue:
        cls = queue.pop()
        found.setdefault(cls.reason, cls)
        queue.extend(cls.__subclasses__())
    return found
