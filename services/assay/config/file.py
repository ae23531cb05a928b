"""EvalScope's file for the VLMEvalKit backend, with our few keys beside it, as one strict pydantic tree.

Every key says in its annotation what becomes of it; `reference.py` writes docs/config.md from that.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from assay.config.evalconfig import EvalConfig
from assay.config.kinds import Flag, Honoured, Number, Text
from assay.config.problems import nearest, printable, refused
from assay.config.source import SourceConfig
from assay.config.taskkeys import IgnoredTaskKeys

BACKEND = "VLMEvalKit"


class EvalFile(IgnoredTaskKeys):
    """The whole file."""

    eval_backend: Annotated[str, Text(), Honoured()] = Field(
        default=BACKEND, description="`VLMEvalKit`, the only backend here."
    )
    eval_config: Annotated[EvalConfig, Honoured()] = Field(
        description=(
            "What VLMEvalKit is told: a map, or the path of a YAML or JSON file that holds it; "
            "see below."
        )
    )
    work_dir: Annotated[str, Text(longest=4000), Honoured()] = Field(
        default="outputs", description="Where run folders are made."
    )
    use_cache: Annotated[str | None, Text(null=True, longest=4000), Honoured()] = Field(
        default=None,
        description=(
            "The folder of an earlier run to continue; needs `reuse: true`, unless `mode: eval` "
            "only scores it."
        ),
    )
    no_timestamp: Annotated[bool, Flag(), Honoured()] = Field(
        default=False,
        description=(
            "Use `work_dir` itself as the run's folder; with `reuse: true`, go on with the run that "
            "is in it."
        ),
    )
    dataset_sources: Annotated[dict[str, SourceConfig] | None, Honoured()] = Field(
        default=None,
        description="Ours. Dataset name -> where its TSV is; see below.",
    )
    mirrors: Annotated[
        dict[str, Annotated[str, Text(longest=2000)]] | None, Honoured()
    ] = Field(
        default=None,
        description=(
            "Ours. URL prefix -> replacement, for every dataset address; the longest prefix wins."
        ),
    )
    coverage_threshold: Annotated[float, Number(low=0, high=1), Honoured()] = Field(
        default=1.0,
        description="Ours. Scored / total below which a task's score is withheld.",
    )
    endpoint_patience: Annotated[float, Number(low=0), Honoured()] = Field(
        default=120.0,
        description="Ours. Seconds a dead endpoint is waited for before the run ends.",
    )
    judge_prompt_price: Annotated[float, Number(low=0), Honoured()] = Field(
        default=0.0,
        description="Ours. What a million prompt tokens of the judge cost, in whatever you count.",
    )
    judge_completion_price: Annotated[float, Number(low=0), Honoured()] = Field(
        default=0.0,
        description="Ours. The same of its completion tokens; with either, the report says the cost.",
    )
    run_name: Annotated[str, Text(empty=True, longest=200, words=True), Honoured()] = (
        Field(default="", description="Ours. What you call the run.")
    )
    fresh: Annotated[str, Text(empty=True, longest=200, words=True), Honoured()] = (
        Field(
            default="",
            description="Ours. A free word; another word makes an otherwise equal run another one.",
        )
    )
    endpoint_moved: Annotated[bool, Flag(), Honoured()] = Field(
        default=False,
        description="Ours. Models that have answered stand at another address now and are the same: "
        "their answers are kept, where a changed `api_base` is refused otherwise.",
    )

    @model_validator(mode="before")
    @classmethod
    def _our_backend(cls, file: Any) -> Any:
        """Says first what matters most: another backend's file needs no other key explained."""
        backend = file.get("eval_backend") if isinstance(file, dict) else None
        if isinstance(backend, str) and backend.strip() and backend != BACKEND:
            guess = nearest(backend, [BACKEND])
            cure = f"write eval_backend: {BACKEND}"
            raise refused(
                f"{printable(backend)} is not a backend that runs here",
                f"did you mean {BACKEND}?" if guess else cure,
                at="eval_backend",
            )
        return file
