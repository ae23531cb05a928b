"""`assay.local.rejudge`: the answers of a run that is here, judged by another judge, in a run of its own.

The command line calls it, and so may a script. The former run stays as it is: both results are kept, and how
far they agree is written beside the new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from assay.config.evalconfig import EvalConfig
from assay.config.judge_model import judge_of
from assay.config.judging import check_judge_needed, judge_notes
from assay.domain.errors import ConfigError, ConflictError
from assay.domain.identity import spec_digest
from assay.domain.judge import EXACT, JUDGE_QUEUE
from assay.domain.report import RunState
from assay.domain.run import Mode, Run
from assay.local.folder import (
    RunFolder,
    ending_in,
    new_folder,
    spec_to_score,
    timestamped_folder,
)
from assay.local.listener import Listener
from assay.local.run import RunOutcome, check_judge, drive
from assay.store import keys
from assay.store.folder import FolderStore
from assay.store.spec import PinnedSpec, encode_pinned

AGREEMENT = "agreement.json"
"""In the new run's folder: how far both judges agree, sample by sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The judge that is wanted, as a file says it (`judge_*` of eval_config).

    Attributes:
        judge: its name, or `exact_matching`.
        key: its bearer token; None: it needs none, or the environment has it.
    """

    judge: str
    base_url: str | None = None
    key: SecretStr | None = None
    args: str | None = None


def rejudge(
    run_dir: str | Path,
    wanted: Wanted,
    into: str | Path | None = None,
    *,
    environ: Mapping[str, str],
    preflight: bool = True,
    unsealed: bool = False,
    listener: Listener | None = None,
) -> RunOutcome:
    """Scores the answers of a run with another judge; no model is asked.

    Args:
        run_dir: the folder of the run that has the answers.
        wanted: who is to judge.
        into: the new run's folder; None: a new one beside the former.
        environ: for OPENAI_API_KEY, as in a run.
        preflight: ask the judge before anything starts.
        unsealed: as in `run`.
        listener: hears how it goes.

    Raises:
        ConfigError: the judge is refused, or the new folder.
        ConflictError: the run goes on, or has that judge.
        NotFoundError: there is no run in the folder.
        CorruptError, StoreFullError: as in `run`.
    """
    former = Path(run_dir).expanduser().absolute()
    pinned = spec_to_score(former)
    if ending_in(former).state is RunState.RUNNING:
        raise ConflictError(
            f"cannot judge the run in {former} anew: it has not ended",
            cure=f"go on with it first: assay run FILE --run-dir {former} --resume",
        )
    run, key = _judged_by(pinned.run, wanted, former, environ)
    secrets = {} if key is None else {JUDGE_QUEUE: key}
    asked = replace(run, mode=Mode.EVAL)
    if preflight:
        check_judge(asked, secrets)
    folder = (
        timestamped_folder(run, former.parent)
        if into is None
        else new_folder(run, Path(into).expanduser().absolute())
    )
    _take_over(former, pinned, run, folder)
    going_on = replace(folder, going_on=True)
    outcome = drive(asked, going_on, secrets, listener, retry=False, unsealed=unsealed)
    if outcome.report.is_file():
        _write_agreement(former, outcome.run_dir)
    return outcome


def _judged_by(
    run: Run, wanted: Wanted, former: Path, environ: Mapping[str, str]
) -> tuple[Run, SecretStr | None]:
    """The run with that judge, and the judge's key.

    Raises:
        ConfigError: as the file's own keys are refused.
        ConflictError: it has that judge.
    """
    config = EvalConfig.model_construct(
        judge=wanted.judge,
        judge_base_url=wanted.base_url,
        judge_key=wanted.key,
        judge_args=wanted.args,
    )
    model = judge_of(config, environ)
    check_judge_needed(config, run.datasets, model)
    name = EXACT if model is None else model.judge.label or model.judge.served_name
    # What was said where nobody was named is no longer so.
    outdated = judge_notes(EvalConfig.model_construct(), run.datasets, {}, None)
    notes = [each for each in run.notes if each not in outdated]
    note = f"Its answers are those of the run in {former}, which {run.judge} judged."
    changed = replace(
        run,
        mode=Mode.ALL,
        judge=name,
        judge_chosen=True,
        judge_model=None if model is None else model.judge,
        # The former judge's: what this one costs nobody said.
        judge_prices=(0.0, 0.0),
        notes=(*notes, note),
    )
    if spec_digest(changed) == spec_digest(run):
        raise ConflictError(
            f"cannot judge the run in {former} anew: {name} is the judge it had",
            cure="name another one; what that judge failed at is asked again by `assay retry`",
        )
    return changed, None if model is None else model.key


def _take_over(former: Path, pinned: PinnedSpec, run: Run, folder: RunFolder) -> None:
    """Gives a new run every answer of the former one, and none of what was judged.

    Raises:
        ConfigError: the former run keeps nothing to judge.
        StoreUnavailableError, StoreFullError: as the folders say.
    """
    source = FolderStore(former, former)
    target = FolderStore(folder.path, folder.path)
    taken = 0
    for prefix in (keys.tasks("run"), keys.epochs("run")):
        for key in source.list(prefix):
            if "/score/" not in key:
                target.put(key, source.get(key))
                taken += key.endswith(".seg")
    if not taken:
        raise ConfigError("RUN", f"{former} keeps no answers", "name a run that has")
    spec = PinnedSpec(
        run_id=folder.run_id,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        spec_digest=spec_digest(run),
        run=run,
        adopts=pinned.adopts,
    )
    # Written last: without it there is no run, and the folder is begun anew.
    target.put(keys.spec("run"), encode_pinned(spec))


def _write_agreement(former: Path, run_dir: Path) -> None:
    from assay.report.compare import Side, comparison  # noqa: PLC0415 - once it is needed

    reports = [
        json.loads((path / "report.json").read_bytes()) for path in (former, run_dir)
    ]
    document = comparison(
        [
            (Side(former, reports[0], model), Side(run_dir, reports[1], model))
            for model in reports[1]["provenance"]["models"]
        ]
    )
    text = json.dumps(document, indent=2, ensure_ascii=False)
    (run_dir / AGREEMENT).write_text(f"{text}\n", encoding="utf-8")
