"""Bytes as a person reads them, and how far a stage of a dataset is in words."""

from __future__ import annotations

from assay.domain.prepared import PrepareStage, StageProgress

_STEP = 1000.0


def in_words(count: int) -> str:
    """`999 B`, `1.2 MB`: three digits at most, in powers of 1000."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < _STEP or unit == "TB":
            break
        size /= _STEP
    return f"{count} B" if unit == "B" else f"{size:.3g} {unit}"


def stage_words(step: StageProgress, per_second: float) -> str:
    """`fetching 1.2 MB of 3 MB, 0.4 MB/s`; preparing counts rows."""
    stage = step.stage.value.lower()
    if step.stage is PrepareStage.PREPARING:
        return f"{stage} {step.done}/{step.total}" if step.total else stage
    if not step.done:
        return stage
    whole = f" of {in_words(step.total)}" if step.total else ""
    speed = f", {in_words(round(per_second))}/s" if per_second > 0 else ""
    return f"{stage} {in_words(step.done)}{whole}{speed}"
