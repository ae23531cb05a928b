"""An aggregator that stops itself (SIGSTOP) at a chosen moment of a commit; run as a process of its own.

Its parts are the real ones: the store and the claim are wrapped, so that the process stops where a
machine might: `python aggregator_holder.py <moment> --config-fd N`. A commit whose answer holds
`PAUSE` is the one. At the moment `no_answer` it does not stop: its store never answers that commit.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from assay.aggregator.main import claim_of, conduct, store_of
from assay.domain.errors import StoreUnavailableError
from assay.process.configs import AggregatorConfig
from assay.process.contract import load_config
from assay.telemetry.log import set_up_logging


class _Stop:
    """Stops the process once, at one moment."""

    def __init__(self, moment: str) -> None:
        self.moment = moment
        self.marked = False

    def here(self, moment: str) -> None:
        if self.marked and moment == self.moment:
            self.moment = ""
            os.kill(os.getpid(), signal.SIGSTOP)


class _StoppingStore:
    def __init__(self, inner: Any, stop: _Stop) -> None:
        self._inner, self._stop = inner, stop

    def put(self, key: str, data: bytes) -> None:
        self._stop.marked = key.endswith(".seg") and b"PAUSE" in data
        if self._stop.marked and self._stop.moment == "no_answer":
            raise StoreUnavailableError(f"cannot write {key}: no answer")
        self._stop.here("before_put")
        self._inner.put(key, data)
        self._stop.here("after_put")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _StoppingClaim:
    def __init__(self, inner: Any, stop: _Stop) -> None:
        self._inner, self._stop = inner, stop

    def held(self) -> bool:
        """Stops with the check behind it: what it said may be outdated when it is used."""
        held: bool = self._inner.held()
        self._stop.here("before_ack")
        return held

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def main() -> int:
    stop = _Stop(sys.argv[1])
    config = load_config(AggregatorConfig, sys.argv[2:])
    set_up_logging("aggregator", file=config.log_file)
    return conduct(
        config,
        lambda config: _StoppingStore(store_of(config), stop),
        lambda config: _StoppingClaim(claim_of(config), stop),
    )


HOLDER = Path(__file__)

if __name__ == "__main__":
    sys.exit(main())
