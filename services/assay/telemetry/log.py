"""JSON log lines with the process's role on each; secrets are cut out before anything is written."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

_REDACTED = "[redacted]"


_SHORTEST_SECRET = 8
"""Shorter values such as "EMPTY" are placeholders, and would be cut out of ordinary words."""


def _redactor(secrets: Iterable[str]) -> structlog.typing.Processor:
    known = tuple(secret for secret in secrets if len(secret) >= _SHORTEST_SECRET)

    def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if isinstance(value, str):
                event[key] = _without(value, known)
        return event

    return redact


def _without(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, _REDACTED)
    return text


def set_up_logging(
    role: str,
    *,
    file: Path | None = None,
    secrets: Iterable[str] = (),
    level: int = logging.INFO,
) -> TextIO:
    """Sends structlog events as JSON lines to `file` (appended) or standard error.

    Args:
        role: on every line as `role`.
        file: where to append; None: standard error.
        secrets: strings that must never appear.
        level: the lowest level that is written.

    Returns:
        The stream that is written to, for whoever ends before the process does.
    """
    stream: TextIO = file.open("a", buffering=1) if file else sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            _redactor(secrets),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    return stream
