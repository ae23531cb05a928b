"""EvalScope's other task-level keys, older ones included: its VLMEvalKit backend reads none."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from assay.config.kinds import NoEffect, Refused

_UNREAD = NoEffect(why="EvalScope's VLMEvalKit backend does not read it")
_IN_EVAL_CONFIG = NoEffect(
    why="EvalScope's VLMEvalKit backend reads the one in eval_config only"
)
_IN_MODEL = NoEffect(
    why="EvalScope's VLMEvalKit backend reads the entries of eval_config.model only"
)

Unread = Annotated[Any, _UNREAD]
InEvalConfig = Annotated[Any, _IN_EVAL_CONFIG]
InModel = Annotated[Any, _IN_MODEL]


class IgnoredTaskKeys(BaseModel):
    """Accepted, changing nothing, and said so in the run's notes."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True
    )

    model: InModel = None
    model_id: InModel = None
    model_args: InModel = None
    model_task: Unread = None
    generation_config: InModel = None
    api_url: InModel = None
    api_key: InModel = Field(default=None, repr=False)
    timeout: InEvalConfig = None
    stream: Unread = None
    limit: InEvalConfig = None
    judge: InEvalConfig = None
    judge_strategy: InEvalConfig = None
    judge_model_args: Annotated[Any, _IN_EVAL_CONFIG] = Field(default=None, repr=False)
    judge_worker_num: InEvalConfig = None
    datasets: InEvalConfig = None
    dataset_args: Unread = None
    dataset_dir: Unread = None
    dataset_hub: Unread = None
    repeats: Unread = None
    template_type: Unread = None
    chat_template: Unread = None
    output_type: Unread = None
    eval_type: Unread = None
    stage: Unread = None
    eval_batch_size: Unread = None
    mem_cache: Unread = None
    rerun_review: Unread = None
    outputs: Unread = None
    enable_progress_tracker: Unread = None
    ignore_errors: Unread = None
    debug: Unread = None
    dry_run: Annotated[
        Any,
        Refused(
            why="a run starts its requests at once",
            cure="remove it",
            unless=(None, False),
        ),
    ] = Field(default=False, description="Print the config and stop.")
    seed: Unread = None
    analysis_report: Unread = None
    collect_perf: Unread = None
    sandbox: Unread = None
    use_sandbox: Unread = None
    sandbox_type: Unread = None
    sandbox_manager_config: Unread = None
    agent_config: Unread = None
    evalscope_version: Unread = None
