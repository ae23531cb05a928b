"""How long to wait before trying again; pure: the dice are the caller's."""

from __future__ import annotations

RETRY_CAP_SECONDS = 60.0
RETRY_AFTER_CAP_SECONDS = 900.0
"""An endpoint that asks for more than this is asked again after this: else one header stops a run."""


def retry_delay(
    attempts: int, wait: float, retry_after: float | None, dice: float
) -> float:
    """Seconds before a sample's next attempt: exponential with full jitter, never before `retry_after`.

    Args:
        attempts: attempts made so far; at least one.
        wait: the model's `wait`; upstream's first pause is up to twice this.
        retry_after: what the server asked for; None: nothing.
        dice: from [0, 1).
    """
    most = min(RETRY_CAP_SECONDS, 2.0 * wait * 2.0 ** min(attempts - 1, 32))
    if retry_after is None:
        return dice * most
    # Spread out: everybody was told the same moment.
    return min(retry_after, RETRY_AFTER_CAP_SECONDS) + dice * min(most, 1.0)


def reconnect_delay(failures: int, first: float, most: float, dice: float) -> float:
    """Seconds before the next call to somebody who is away: exponential, between half and whole."""
    return min(most, first * 2.0 ** min(failures - 1, 32)) * (0.5 + dice / 2.0)
