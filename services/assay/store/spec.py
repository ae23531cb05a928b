"""A run's resolved spec as bytes: on the wire in `RunService.Open`, and in `runs/<run_id>/spec.json`.

Drivers encode it for `Open`; the aggregator pins it together with the time the run began; drivers read
the pinned one to find the run that a user wants to go on with.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from assay.domain.errors import ConfigError, CorruptError
from assay.domain.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedSpec:
    """What spec.json holds.

    Attributes:
        run_id: as the driver chose it.
        started: RFC 3339, UTC; of the first `Open`.
        spec_digest: names the execution, see `assay.domain.identity`.
        run: the resolved spec.
        adopts: former executions whose answers it goes on from, newest first; each task says in its
            own file which of them have answered it.
    """

    run_id: str
    started: str
    spec_digest: str
    run: Run
    adopts: tuple[str, ...] = ()


def encode_run(run: Run) -> bytes:
    """A resolved spec as JSON."""
    return msgspec.json.encode(run)


def decode_run(data: bytes) -> Run:
    """A resolved spec from JSON.

    Raises:
        ConfigError: the JSON is broken or does not fit.
    """
    try:
        return msgspec.json.decode(data, type=Run)
    except msgspec.MsgspecError as error:
        raise ConfigError(
            "spec", f"it cannot be read: {error}", "start the run by its driver"
        ) from error


def encode_pinned(pinned: PinnedSpec) -> bytes:
    """What is written to spec.json."""
    return msgspec.json.format(msgspec.json.encode(pinned), indent=1)


def decode_pinned(data: bytes, key: str) -> PinnedSpec:
    """What was read from spec.json at `key`.

    Raises:
        CorruptError: it is not a pinned spec.
    """
    try:
        return msgspec.json.decode(data, type=PinnedSpec)
    except msgspec.MsgspecError as error:
        raise CorruptError(
            f"cannot read the pinned spec {key}: {error}",
            cure="start a new run; this folder's spec was changed or cut",
        ) from error
