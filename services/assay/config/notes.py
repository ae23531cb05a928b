"""What a run's report says about its file: keys without effect, and keys that mean another than they say."""

from __future__ import annotations

from pydantic import BaseModel

from assay.config.file import EvalFile
from assay.config.kinds import NoEffect


def key_notes(file: EvalFile) -> list[str]:
    """One sentence for each key of the file that stands there and changes nothing."""
    return [*no_effect(file, ""), *no_effect(file.eval_config, "eval_config")]


def no_effect(part: BaseModel, path: str) -> list[str]:
    """One sentence for each key that stands there and changes nothing."""
    notes = []
    for name, field in type(part).model_fields.items():
        fate = next((m for m in field.metadata if isinstance(m, NoEffect)), None)
        if fate is not None and name in part.model_fields_set:
            where = f"{path}.{name}" if path else name
            notes.append(f"{where} has no effect: {fate.why}.")
    return notes


def run_notes(file: EvalFile, *, reuse: bool) -> list[str]:
    """Sentences about keys that mean something else than they say, or depend on others."""
    config, notes = file.eval_config, []
    if config.nproc is not None and "api_nproc" in config.model_fields_set:
        notes.append("nproc wins over api_nproc, as upstream.")
    if config.rerun is not None:
        notes.append(
            f"rerun is called reuse now, with the opposite meaning: reuse: {str(not config.rerun).lower()}."
        )
    if file.use_cache is not None and config.mode == "eval" and not reuse:
        notes.append(
            "mode: eval uses the answers in use_cache whatever reuse says: it asks no model, and nothing "
            "is deleted."
        )
    if reuse and file.use_cache is None and not file.no_timestamp:
        notes.append(
            "reuse: true finds nothing to reuse without use_cache; name the run folder there, "
            "or run with --resume."
        )
    if config.timeout is not None:
        notes.append(
            "eval_config.timeout is the time-out of every model without one of its own; "
            "VLMEvalKit reads it only together with base_url."
        )
    return notes
