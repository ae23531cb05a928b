"""`assay.local.run`: one evaluation on this machine, from a file or a nested dict to its folder.

The command line calls it, and so may a script. Everything is refused here, before anything starts.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from assay.config import Resolved, load_file, parse, resolve
from assay.domain.actions import Leave, Outcome
from assay.domain.errors import ConfigError, EndpointChangedError, NotFoundError
from assay.domain.judge import JUDGE_QUEUE
from assay.domain.report import RunState
from assay.domain.run import Mode, Run
from assay.local.driver import Driver
from assay.local.folder import (
    RunFolder,
    ending_in,
    folder_to_resume,
    folder_to_score,
    keeps_answers,
    new_folder,
    newest_to_score,
    newest_unfinished,
    pinned_in,
    spec_to_score,
    timestamped_folder,
)
from assay.local.launch import Launch, cache_folder, lmu_folders, s3_access
from assay.local.listener import Listener
from assay.local.page import write_page_of
from assay.process.contract import ExitCode
from assay.store.cache import using

_T = TypeVar("_T")

INTERRUPTED = 130
"""Exit code after a request to stop (128 + SIGINT), as shells give it."""

_EXIT_CODES = {
    RunState.COMPLETE: int(ExitCode.OK),
    RunState.BELOW_COVERAGE: int(ExitCode.BELOW_COVERAGE),
    RunState.FAILED: int(ExitCode.FAILED),
    RunState.RUNNING: int(ExitCode.FAILED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        state: RUNNING: it has not ended and can go on.
        message: one sentence where there is something to say; empty: there is not.
        mode: how far it was taken.
        exit_code: what `assay run` exits with.
        kept: whether there are answers that starting anew would ask again.
        held: whether another process is at work on the run; the message names it.
    """

    run_id: str
    run_dir: Path
    state: RunState
    message: str
    exit_code: int
    mode: Mode = Mode.ALL
    kept: bool = True
    held: bool = False

    @property
    def report(self) -> Path:
        """The run's report; there is none while it is RUNNING."""
        return self.run_dir / "report.json"


def run(
    source: Mapping[str, object] | str | Path,
    run_dir: str | Path | None = None,
    *,
    resume: bool = False,
    unsealed: bool = False,
    preflight: bool = True,
    listener: Listener | None = None,
) -> RunOutcome:
    """Evaluates what an EvalScope file asks for, and returns when it has ended.

    Args:
        source: the file's path, or the nested dict it would hold.
        run_dir: the run's folder; None: a new one below `work_dir`.
        resume: go on with the run in `run_dir`, or with the newest unfinished run of this file. Of
            `mode: eval`, which always goes on, the newest run of this file.
        unsealed: run prepare and score children without a seal where this machine cannot seal.
        preflight: ask the judge model, if there is one, before any model is asked.
        listener: hears how it goes.

    Raises:
        ConfigError: the file or the folder is refused.
        ConflictError: the run to go on with was started with something else.
        NotFoundError: there is no run to go on with.
        StoreFullError: the run's folder cannot be made or written.
    """
    resolved = _resolved(source)
    check_local_models(resolved.run)
    if preflight:
        check_judge(resolved.run, resolved.secrets)
    folder = _folder(
        resolved, Path(run_dir) if run_dir is not None else None, resume=resume
    )
    # Who goes on with what ended below its coverage wants the rest asked.
    below = ending_in(folder.path).state is RunState.BELOW_COVERAGE
    retry = folder.going_on and below
    return drive(
        resolved.run, folder, resolved.secrets, listener, retry=retry, unsealed=unsealed
    )


def score(
    run_dir: str | Path,
    source: Mapping[str, object] | str | Path | None = None,
    *,
    unsealed: bool = False,
    listener: Listener | None = None,
) -> RunOutcome:
    """Scores the answers of a run, and asks no model anything.

    Args:
        run_dir: the run's folder.
        source: the file it was started with, for its judge's key, which is never stored. None: the judge
            needs none, or there is none.
        unsealed: as in `run`.
        listener: hears how it goes.

    Raises:
        NotFoundError: there is no run in the folder.
        ConflictError: `source` asks for another run.
        ConfigError, CorruptError, StoreFullError: as in `run`.
    """
    path = Path(run_dir).expanduser().absolute()
    asked, keys = spec_to_score(path).run, dict[str, SecretStr]()
    if source is not None:
        resolved = _resolved(source)
        asked, keys = resolved.run, dict(resolved.secrets)
    asked = replace(asked, mode=Mode.EVAL)
    check_judge(asked, keys)
    folder = folder_to_score(asked, path)
    return drive(asked, folder, keys, listener, retry=False, unsealed=unsealed)


def retry(
    run_dir: str | Path,
    source: Mapping[str, object] | str | Path | None = None,
    *,
    unsealed: bool = False,
    listener: Listener | None = None,
) -> RunOutcome:
    """Asks again what is unscored in a run, and nothing else.

    Args:
        run_dir: the run's folder.
        source: the file it was started with, for the models' keys: they are never stored. None: no
            model needs one.
        unsealed: as in `run`.
        listener: hears how it goes.

    Raises:
        NotFoundError: there is no run in the folder.
        ConflictError: `source` asks for another run.
        ConfigError, CorruptError, StoreFullError: as in `run`.
    """
    path = Path(run_dir).absolute()
    pinned = pinned_in(path)
    if pinned is None:
        raise NotFoundError(
            f"cannot retry the run in {path}: there is no run in it",
            cure="name the folder that `assay run` printed",
        )
    asked, keys = pinned.run, dict[str, SecretStr]()
    if source is not None:
        resolved = _resolved(source)
        asked, keys = resolved.run, dict(resolved.secrets)
    if asked.mode is Mode.EVAL:
        # It was scored last; this is the wish to have the rest asked.
        asked = replace(asked, mode=Mode.ALL)
    check_judge(asked, keys)
    folder = folder_to_resume(asked, path)
    return drive(asked, folder, keys, listener, retry=True, unsealed=unsealed)


def _resolved(source: Mapping[str, object] | str | Path) -> Resolved:
    file = parse(source) if isinstance(source, Mapping) else load_file(Path(source))
    return resolve(
        file, environ=os.environ, lmu_data=lmu_folders(), base_dir=Path.cwd()
    )


def check_local_models(run: Run) -> None:
    """Sees that the run's local models can be built here, as far as that shows without building them.

    Raises:
        ConfigError: one cannot, with the cure.
    """
    here = [model for model in run.models if model.local is not None]
    if not here or run.mode is Mode.EVAL:
        return
    # Only who has one pays for importing what looks.
    from assay.local.preflight import check_models  # noqa: PLC0415

    _to_its_end(check_models(here, os.environ))


def check_judge(run: Run, keys: Mapping[str, SecretStr]) -> None:
    """Sees that the run's judge answers before anything starts.

    Raises:
        ConfigError: it does not.
    """
    judge = run.judge_model
    if judge is None or run.mode is Mode.INFER:
        return
    # Only who has a judge pays for importing what asks it.
    from assay.local.preflight import ask_judge  # noqa: PLC0415

    _to_its_end(ask_judge(judge, keys.get(JUDGE_QUEUE, SecretStr("EMPTY"))))


def _folder(resolved: Resolved, run_dir: Path | None, *, resume: bool) -> RunFolder:
    asked = resolved.run
    path = run_dir.expanduser().absolute() if run_dir is not None else None
    if asked.mode is Mode.EVAL:
        return _folder_to_score(resolved, path, resume=resume)
    if path is not None:
        return folder_to_resume(asked, path) if resume else new_folder(asked, path)
    if resolved.use_cache is not None:
        return folder_to_resume(asked, resolved.use_cache)
    if resume:
        return newest_unfinished(asked, resolved.work_dir)
    if resolved.no_timestamp:
        there = resolved.reuse and pinned_in(resolved.work_dir) is not None
        return (folder_to_resume if there else new_folder)(asked, resolved.work_dir)
    return timestamped_folder(asked, resolved.work_dir)


def _folder_to_score(
    resolved: Resolved, path: Path | None, *, resume: bool
) -> RunFolder:
    asked = resolved.run
    named = path or resolved.use_cache
    if named is None and resolved.no_timestamp:
        named = resolved.work_dir
    if named is not None:
        return folder_to_score(asked, named)
    if resume:
        return newest_to_score(asked, resolved.work_dir)
    raise ConfigError(
        "eval_config.mode",
        "eval scores answers that are there, and no earlier run is named",
        "add use_cache: <its folder> to the file, or --run-dir DIR, or --resume for the newest run of "
        "this file; mode: all asks and scores",
    )


def drive(
    asked: Run,
    folder: RunFolder,
    keys: Mapping[str, SecretStr],
    listener: Listener | None,
    *,
    retry: bool,
    unsealed: bool,
) -> RunOutcome:
    """Drives a run in its folder to its end."""
    listener = listener or Listener()
    files = [each for d in asked.datasets for each in (d, *d.members)]
    from_s3 = any(each.source is not None and each.source.s3 for each in files)
    launch = Launch(
        folder=folder,
        keys=keys,
        cache=cache_folder(),
        lmu_data=lmu_folders(),
        s3=s3_access() if from_s3 else None,
        unsealed=unsealed,
    )
    listener.started(asked, folder.run_id, folder.path, going_on=folder.going_on)
    with using(launch.cache, [each.name for each in files]):
        outcome = _to_its_end(_driven(asked, launch, listener, retry=retry))
    if outcome.state is not RunState.RUNNING:
        write_page_of(outcome.run_dir, launch.cache, listener)
    return outcome


def _to_its_end(driven: Coroutine[Any, Any, _T]) -> _T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(driven)
    # A notebook's cell runs inside a loop, where no second one may start. The thread lives as long as
    # the run: processes that die with their starter die with the thread that started them.
    with ThreadPoolExecutor(1, thread_name_prefix="assay-run") as thread:
        return thread.submit(asyncio.run, driven).result()


async def _driven(
    asked: Run, launch: Launch, listener: Listener, *, retry: bool
) -> RunOutcome:
    driver = Driver(asked, launch, listener, retry=retry)
    with _signals(driver):
        leave = await driver.drive()
    leave = leave or Leave(Outcome.INTERRUPTED, "ended at once")
    snapshot = driver.world.known.snapshot
    state, message, code = RunState.RUNNING, leave.message, int(ExitCode.FAILED)
    if leave.outcome is Outcome.FINISHED and snapshot is not None:
        state, message = snapshot.state, snapshot.message
        code = _EXIT_CODES[state]
    elif leave.outcome is Outcome.INTERRUPTED:
        code = INTERRUPTED
    elif isinstance(driver.world.fatal, ConfigError | EndpointChangedError):
        code = int(ExitCode.BAD_CONFIG)
    return RunOutcome(
        run_id=launch.folder.run_id,
        run_dir=launch.folder.path,
        state=state,
        message=message,
        exit_code=code,
        mode=asked.mode,
        kept=keeps_answers(launch.folder.path),
        held=driver.world.held,
    )


@contextmanager
def _signals(driver: Driver) -> Iterator[None]:
    """Turns Ctrl-C and SIGTERM into the wish to stop; outside the main thread nothing can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, driver.stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
