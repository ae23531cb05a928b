"""Who decides where matching alone cannot: what is refused without a judge model, and what a report says.

`judge_model` reads the judge that a file names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assay.config.evalconfig import EvalConfig
from assay.config.judge_model import JudgeModel
from assay.domain.catalog import JudgeNeed
from assay.domain.errors import ConfigError
from assay.domain.judge import EXACT, default_label, judge_need
from assay.domain.run import Dataset

_KEYS = (
    "judge_base_url",
    "judge_key",
    "judge_args",
    "OPENAI_API_BASE",
    "LOCAL_LLM",
)


def check_judge_needed(
    config: EvalConfig, datasets: Sequence[Dataset], judge: JudgeModel | None
) -> None:
    """Refuses datasets that only a judge model can score where there is none.

    Raises:
        ConfigError: names them.
    """
    if judge is not None or config.mode == "infer":
        return
    needy = [d.name for d in datasets if judge_need(d.name) is JudgeNeed.MANDATORY]
    if needy:
        are = "is" if len(needy) == 1 else "are"
        raise ConfigError(
            "eval_config.judge",
            f"names no judge model, and {', '.join(needy)} {are} scored by one alone",
            "add judge: NAME and judge_base_url: http://localhost:8000/v1, or write mode: infer for answers "
            "without scores",
        )


def judge_notes(
    config: EvalConfig,
    datasets: Sequence[Dataset],
    environ: Mapping[str, str],
    judge: JudgeModel | None,
) -> list[str]:
    """What the report says about who decides."""
    notes = []
    if judge is None and config.judge is None:
        asked = [d.name for d in datasets if judge_need(d.name) is JudgeNeed.OPTIONAL]
        if asked:
            notes.append(
                f"No judge is named, so exact matching decides; VLMEvalKit would have asked "
                f"{default_label(asked[0])} where matching alone cannot decide ({', '.join(asked)})."
            )
    ignored = [key for key in _KEYS if config.judge == EXACT and getattr(config, key)]
    if ignored:
        notes.append(
            f"judge: {EXACT} asks no judge model: {', '.join(ignored)} changes nothing."
        )
    if judge is None and environ.get("LOCAL_LLM"):
        notes.append(
            "LOCAL_LLM in the environment is not read: only the file says who judges."
        )
    return notes
