"""The sealed child that prepares a dataset: `dataset/preparing.py` runs it as `python -m`.

Imports first, then the seal, then the input: what a TSV makes upstream do happens behind shut doors.
Its lines: `{"progress": [stage, done, total]}`, and at the end `{"prepared": {...}}`, `{"error": {...}}`
or `{"full": true}`.
"""

from __future__ import annotations

import errno
import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assay.domain.errors import AssayError
from assay.domain.run import PicturePolicy
from assay.seal.child import Outlet, read_input, seal
from assay.vlmevalkit import shim

_EVERY_SECONDS = 0.2
"""How often progress is told at most."""
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}


class _Teller:
    """Sends progress, and not more often than anybody can look at it."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        recent = self._last[0] == stage and now - self._last[1] < _EVERY_SECONDS
        if recent and done < total:
            return
        self._last = (stage, now)
        self._outlet.send({"progress": [stage, done, total]})


def _said(error: AssayError | OSError) -> dict[str, Any]:
    """What the launcher is told of it.

    Raises:
        OSError: it is neither about the file nor about room.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _NO_SPACE:
            return {"full": True}
        cause = cause.__cause__
    if isinstance(error, OSError):
        raise error
    return {"error": {"message": error.message, "cure": error.cure}}


def main() -> None:
    """Imports, seals itself, prepares what standard input says."""
    shim.install()
    from assay.vlmevalkit import prepare  # noqa: PLC0415 - behind the shim

    prepare.warm_up()
    # pandas warns about columns of mixed types; upstream reads them so, and so do we.
    warnings.simplefilter("ignore")
    outlet = seal()
    told: dict[str, Any] = json.loads(read_input())
    job = prepare.PrepareJob(
        name=told["name"],
        sources={name: Path(path) for name, path in told["sources"].items()},
        folder=Path.cwd(),
        pictures=PicturePolicy(**told["pictures"]),
        **(
            {"localize_bytes": told["localize_bytes"]}
            if "localize_bytes" in told
            else {}
        ),
    )
    try:
        prepared = prepare.prepare(job, _Teller(outlet))
    except (AssayError, OSError) as error:
        outlet.send(_said(error))
        sys.exit(0)
    outlet.send({"prepared": asdict(prepared)})


if __name__ == "__main__":
    main()
