"""From a checked file to the run it asks for: defaults filled in, models and datasets admitted, keys apart.

What upstream would silently do otherwise becomes either an error here or a note in the report.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from assay.config.admission import (
    admit_dataset,
    check_apart,
    check_mirrors,
    check_sources,
    dataset_notes,
)
from assay.config.evalconfig import EvalConfig
from assay.config.file import EvalFile
from assay.config.judge_model import JudgeModel, judge_of
from assay.config.judging import check_judge_needed, judge_notes
from assay.config.modelset import ModelSet, admit_models
from assay.config.naming import located
from assay.config.notes import key_notes, run_notes
from assay.config.problems import joined, kept, printable
from assay.domain.errors import ConfigError
from assay.domain.judge import EXACT, JUDGE_QUEUE
from assay.domain.run import Dataset, Mode, Run

_HUB = "https://huggingface.co"
"""Where weights come from that are named as a repository; `mirrors` may name another address for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a file asks for.

    Attributes:
        run: the run, without any key.
        secrets: the bearer token of each model, by its key, and of the judge by `JUDGE_QUEUE`.
        work_dir: where run folders are made; absolute.
        use_cache: the run folder to continue; None: none is named.
        reuse: the user wants answers that are there to be used.
        no_timestamp: `work_dir` itself is the run's folder.
    """

    run: Run
    secrets: Mapping[str, SecretStr]
    work_dir: Path
    use_cache: Path | None
    reuse: bool
    no_timestamp: bool


def resolve(
    file: EvalFile,
    *,
    environ: Mapping[str, str],
    lmu_data: Sequence[Path],
    base_dir: Path,
    here: bool = True,
) -> Resolved:
    """Admits the run a file asks for.

    Args:
        file: what `load_file` or `parse` gave.
        environ: for the keys and addresses upstream reads there.
        lmu_data: folders that may hold `NAME.tsv`.
        base_dir: what relative paths start from.
        here: the run's workers see this machine's folders; else local models' weights are their pods'.

    Raises:
        ConfigError: everything that is refused, in one error.
    """
    config, problems = file.eval_config, list[ConfigError]()
    use_cache: Path | None = None
    with kept(problems):
        _check_frames(config)
    with kept(problems):
        use_cache = _continued(file, base_dir)
    datasets = _datasets(file, problems, lmu_data, base_dir)
    judge = _judge(config, datasets, problems, environ)
    hub = (file.mirrors or {}).get(_HUB, "")
    weights = base_dir if here else None
    admitted = admit_models(config, problems, environ, weights, hub)
    if problems:
        raise joined(_distinct(problems))
    return Resolved(
        run=_run(file, datasets, judge, admitted, environ),
        secrets=dict(admitted.secrets) | _judge_key(judge),
        work_dir=located(file.work_dir, base_dir),
        use_cache=use_cache,
        reuse=_reuse(config),
        no_timestamp=file.no_timestamp,
    )


def _run(
    file: EvalFile,
    datasets: tuple[Dataset, ...],
    judge: JudgeModel | None,
    admitted: ModelSet,
    environ: Mapping[str, str],
) -> Run:
    config = file.eval_config
    return Run(
        name=file.run_name,
        models=admitted.models,
        datasets=datasets,
        mode=Mode(config.mode),
        limit=config.limit,
        judge=_judge_name(judge),
        judge_chosen=config.judge is not None or judge is not None,
        judge_model=judge.judge if judge else None,
        judge_prices=(file.judge_prompt_price, file.judge_completion_price),
        coverage_threshold=file.coverage_threshold,
        endpoint_patience=file.endpoint_patience,
        mirrors=dict(file.mirrors or {}),
        fresh=file.fresh,
        endpoint_moved=file.endpoint_moved,
        notes=(
            *key_notes(file),
            *run_notes(file, reuse=_reuse(config)),
            *admitted.notes,
            *judge_notes(config, datasets, environ, judge),
            *dataset_notes(
                datasets, file.dataset_sources or {}, config.limit, config.data
            ),
        ),
    )


def _judge(
    config: EvalConfig,
    datasets: Sequence[Dataset],
    problems: list[ConfigError],
    environ: Mapping[str, str],
) -> JudgeModel | None:
    found: JudgeModel | None = None
    with kept(problems):
        found = judge_of(config, environ)
        check_judge_needed(config, datasets, found)
    return found


def _judge_key(judge: JudgeModel | None) -> dict[str, SecretStr]:
    return {} if judge is None else {JUDGE_QUEUE: judge.key}


def _judge_name(judge: JudgeModel | None) -> str:
    return EXACT if judge is None else judge.judge.label or judge.judge.served_name


def _distinct(problems: Sequence[ConfigError]) -> list[ConfigError]:
    return list({(p.path, p.why): p for p in problems}.values())


def _check_frames(config: EvalConfig) -> None:
    if config.fps > 0 and config.nframe > 0:
        raise ConfigError(
            "eval_config.fps",
            f"{config.fps:g} stands beside nframe: {config.nframe}, and VLMEvalKit 0.0.20 fails on both",
            "write nframe: 0 beside it, or fps: -1",
        )


def _continued(file: EvalFile, base_dir: Path) -> Path | None:
    """The folder of the run that is to be continued; None: a new run."""
    config, reuse = file.eval_config, _reuse(file.eval_config)
    if file.use_cache is None:
        return None
    # Who only scores has said by that that answers are to be used.
    if not reuse and config.mode != "eval":
        raise ConfigError(
            "use_cache",
            "names a run to continue, and eval_config.reuse does not say that it may be",
            "write reuse: true into eval_config to go on with it, or remove use_cache for a new run; "
            "nothing in that folder is ever deleted",
        )
    folder = located(file.use_cache, base_dir)
    if not os.path.isdir(folder):  # noqa: PTH112 - never raises
        raise ConfigError(
            "use_cache",
            f"there is no folder {printable(str(folder), 200)}",
            "name the folder of an earlier run, or remove use_cache for a new one",
        )
    return folder


def _reuse(config: EvalConfig) -> bool:
    mapped = None if config.rerun is None else not config.rerun
    if config.reuse is not None and mapped is not None and config.reuse != mapped:
        raise ConfigError(
            "eval_config.rerun",
            f"says the opposite of reuse: {str(config.reuse).lower()}",
            "keep reuse alone",
        )
    return bool(mapped if config.reuse is None else config.reuse)


def _datasets(
    file: EvalFile,
    problems: list[ConfigError],
    lmu_data: Sequence[Path],
    base_dir: Path,
) -> tuple[Dataset, ...]:
    config, sources = file.eval_config, file.dataset_sources or {}
    with kept(problems):
        check_sources(sources, base_dir)
    with kept(problems):
        check_mirrors(file.mirrors or {})
    datasets: dict[str, Dataset] = {}
    for place, name in enumerate(config.data):
        path = f"eval_config.data[{place}]"
        with kept(problems):
            dataset = admit_dataset(
                name,
                path,
                sources=sources,
                lmu_data=lmu_data,
                base_dir=base_dir,
                limit=config.limit,
            )
            if dataset.name in datasets:
                raise ConfigError(
                    path, f"{dataset.name} stands twice", "remove one of them"
                )
            datasets[dataset.name] = dataset
    with kept(problems):
        check_apart(list(datasets.values()), "eval_config.data")
    return tuple(datasets.values())
