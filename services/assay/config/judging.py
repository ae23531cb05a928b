"""Who decides where matching alone cannot: exact matching for now, and why a judge model is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.config.evalconfig import EvalConfig
from assay.config.problems import nearest, printable
from assay.domain.catalog import JudgeNeed, lookup
from assay.domain.errors import ConfigError
from assay.domain.run import Dataset

EXACT = "exact_matching"

_LATER = "a judge LLM comes later"
_CURE = f"write judge: {EXACT} and remove the judge's other keys"
_UPSTREAM_DEFAULT = "gpt-4o-mini"


def check_judge(config: EvalConfig) -> None:
    """Refuses what configures a judge model, or half of one.

    With `judge: exact_matching` upstream asks no judge whatever else is configured, and neither do we.

    Raises:
        ConfigError: a judge model is configured.
    """
    if config.judge == EXACT:
        return
    if config.judge is not None:
        guess = nearest(config.judge, [EXACT], cutoff=0.7)
        raise ConfigError(
            "eval_config.judge",
            f'"{printable(config.judge)}" is a judge model, and {_LATER}',
            f"did you mean {EXACT}?" if guess else _CURE,
        )
    _check_older_keys(config)
    for key in ("judge_base_url", "judge_key", "judge_args"):
        if getattr(config, key) is not None:
            raise ConfigError(
                f"eval_config.{key}", f"configures a judge model, and {_LATER}", _CURE
            )


def _check_older_keys(config: EvalConfig) -> None:
    base, name = config.OPENAI_API_BASE, config.LOCAL_LLM
    if base and name:
        raise ConfigError(
            "eval_config.LOCAL_LLM", f"configures a judge model, and {_LATER}", _CURE
        )
    key = config.OPENAI_API_KEY
    lonely = {
        "OPENAI_API_BASE": bool(base),
        "LOCAL_LLM": bool(name),
        "OPENAI_API_KEY": key is not None
        and key.get_secret_value() not in {"", "EMPTY"},
    }
    for field, given in lonely.items():
        if given:
            raise ConfigError(
                f"eval_config.{field}",
                "has no effect alone: VLMEvalKit reads OPENAI_API_BASE and LOCAL_LLM together, or not at all",
                f"remove it: {_LATER}, and exact matching needs none of these keys",
            )


def judge_notes(
    config: EvalConfig, datasets: Sequence[Dataset], environ: Mapping[str, str]
) -> list[str]:
    """What the report says about who decides."""
    notes = []
    if config.judge is None:
        asked = [d.name for d in datasets if _judged_upstream(d.name)]
        if asked:
            notes.append(
                f"No judge is named, so exact matching decides; VLMEvalKit would have asked "
                f"{_UPSTREAM_DEFAULT} where matching alone cannot decide ({', '.join(asked)})."
            )
    ignored = [
        key
        for key in (
            "judge_base_url",
            "judge_key",
            "judge_args",
            "OPENAI_API_BASE",
            "LOCAL_LLM",
        )
        if config.judge == EXACT and getattr(config, key)
    ]
    if ignored:
        notes.append(
            f"judge: {EXACT} asks no judge model: {', '.join(ignored)} changes nothing."
        )
    if environ.get("LOCAL_LLM"):
        notes.append(
            "LOCAL_LLM in the environment is not read: only the file says who judges."
        )
    return notes


def _judged_upstream(name: str) -> bool:
    entry = lookup(name)
    # A name upstream does not know is a custom multiple-choice dataset there.
    return entry is None or entry.judge is JudgeNeed.OPTIONAL
