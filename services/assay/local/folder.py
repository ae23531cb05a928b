"""Which folder a run lives in: a new one, or the one of the run that is to go on.

`local.run` asks before it starts anything, so that every refusal comes at once and in words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from assay.domain.errors import (
    AssayError,
    ConfigError,
    ConflictError,
    NotFoundError,
    StoreFullError,
)
from assay.domain.identity import spec_digest, spec_identity
from assay.domain.report import RunState
from assay.domain.run import Mode, Run
from assay.store import keys
from assay.store.folder import FolderStore
from assay.store.spec import PinnedSpec, decode_pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """Where a run lives.

    Attributes:
        going_on: whether an earlier run is continued.
    """

    path: Path
    run_id: str
    going_on: bool


def pinned_in(run_dir: Path) -> PinnedSpec | None:
    """The spec pinned in a run's folder; None: there is none.

    Raises:
        CorruptError: it cannot be read.
    """
    key = keys.spec("run")
    try:
        data = FolderStore(run_dir, run_dir).get(key)
    except NotFoundError:
        return None
    return decode_pinned(data, f"in {run_dir}")


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended last, by its report; RUNNING: it has not.

    Attributes:
        scored: whether its report has the scores of all answers, where they have any.
    """

    state: RunState = RunState.RUNNING
    scored: bool = False

    def reaches(self, mode: Mode) -> bool:
        """Whether its report says what a run of this mode is made for."""
        return mode is Mode.INFER or self.scored


def ending_in(run_dir: Path) -> Ending:
    """How the run in a folder ended."""
    try:
        report = json.loads((run_dir / "report.json").read_bytes())
        state, mode = report["run"]["state"], report["settings"]["mode"]
        waiting = any(task["counts"]["predicted"] for task in report["tasks"])
        return Ending(RunState(state), scored=mode != Mode.INFER or not waiting)
    except (OSError, ValueError, KeyError, TypeError):
        return Ending()


def keeps_answers(run_dir: Path) -> bool:
    """Whether the run in a folder has anything that starting it anew would ask again.

    Raises:
        StoreUnavailableError: the folder cannot be read.
    """
    kept = FolderStore(run_dir, run_dir).list(keys.tasks("run"))
    return any(key.endswith(".seg") for key in kept)


def new_folder(run: Run, path: Path) -> RunFolder:
    """Makes the folder of a new run.

    Raises:
        ConfigError: it exists and is not empty.
        StoreFullError: it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        occupied = any(path.iterdir())
    except (NotADirectoryError, FileExistsError):
        raise ConfigError(
            "the run's folder", f"{path} is a file", "name a folder"
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from error
    if occupied:
        raise ConfigError(
            "the run's folder",
            f"{path} exists and is not empty",
            "to go on with the run in it add --resume (or reuse: true to eval_config, with no_timestamp); "
            "else name another folder",
        )
    return _begun(run, path)


def timestamped_folder(run: Run, work_dir: Path) -> RunFolder:
    """Makes a new folder below `work_dir`, named after the present second as EvalScope does.

    Raises:
        StoreFullError: it cannot be made or written.
    """
    stamp = datetime.now().astimezone().strftime("%Y%m%d_%H%M%S")
    path = work_dir / stamp
    number = 1
    while True:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            # Another run began in the same second.
            number += 1
            path = work_dir / f"{stamp}_{number}"
            continue
        except OSError as error:
            raise _unwritable(path, error) from error
        return _begun(run, path)


def folder_to_resume(run: Run, path: Path) -> RunFolder:
    """The folder of a run that is to go on.

    Raises:
        ConflictError: the run in it has another spec; the field that differs is named.
        NotFoundError: there is no run in it.
        CorruptError: its spec cannot be read.
    """
    pinned = pinned_in(path)
    if pinned is None and _asked_in(path) is not None:
        # It ended before it was accepted: nothing was asked, nothing can differ.
        return _begun(run, path)
    if pinned is None:
        raise NotFoundError(
            f"cannot go on with the run in {path}: there is no run in it",
            cure="start it without --resume",
        )
    fields = differing_fields(pinned.run, run)
    if fields:
        raise ConflictError(
            f"cannot go on with the run in {path}: {', '.join(fields)} differ"
            f"{'s' if len(fields) == 1 else ''} from what it was started with",
            cure="write it as it was, or start a new run: without --resume, in another folder",
        )
    _make_logs(path)
    return RunFolder(path=path, run_id=pinned.run_id, going_on=True)


def newest_unfinished(run: Run, work_dir: Path) -> RunFolder:
    """The newest run of equal spec digest below `work_dir` that is not complete as far as is asked.

    Raises:
        NotFoundError: there is none.
    """
    digest = spec_digest(run)
    found = [
        (started, path)
        for path, started, found_digest in _runs_below(work_dir)
        if found_digest == digest and not _finished(path, run.mode)
    ]
    if not found:
        raise NotFoundError(
            f"no unfinished run of this file below {work_dir}",
            cure="start it without --resume, or name its folder with --run-dir",
        )
    return folder_to_resume(run, max(found)[1])


def spec_to_score(path: Path) -> PinnedSpec:
    """What the run in a folder was started with, for who wants its answers scored.

    Raises:
        NotFoundError: there is no run in it.
        CorruptError: its spec cannot be read.
    """
    pinned = pinned_in(path)
    if pinned is None:
        sheets = sorted(path.glob("*.xlsx")) if path.is_dir() else []
        raise NotFoundError(
            f"cannot score {path}: there is no run in it",
            cure=f"{sheets[0].name} is a file of VLMEvalKit's, whose cells are no longer what the model "
            "said; score it with VLMEvalKit, or infer here"
            if sheets
            else "name the folder that `assay run` printed",
        )
    return pinned


def folder_to_score(run: Run, path: Path) -> RunFolder:
    """The folder of a run whose answers are to be scored.

    Raises:
        ConflictError: as `folder_to_resume`.
        NotFoundError, CorruptError: as `spec_to_score`.
    """
    spec_to_score(path)
    return folder_to_resume(run, path)


def newest_to_score(run: Run, work_dir: Path) -> RunFolder:
    """The newest run of equal spec digest below `work_dir`, whether scored before or not.

    Raises:
        NotFoundError: there is none.
    """
    digest = spec_digest(run)
    found = [
        (started, path)
        for path, started, found_digest in _runs_below(work_dir)
        if found_digest == digest
    ]
    if not found:
        raise NotFoundError(
            f"no run of this file below {work_dir}, so there are no answers to score",
            cure="infer first (mode: infer or all), or name the run's folder with --run-dir",
        )
    return folder_to_score(run, max(found)[1])


def differing_fields(old: Run, new: Run) -> list[str]:
    """The fields of two runs' identities that differ, by path."""
    return list(_differences(spec_identity(old), spec_identity(new), ""))


def _finished(path: Path, mode: Mode) -> bool:
    ending = ending_in(path)
    return ending.state is RunState.COMPLETE and ending.reaches(mode)


def _differences(old: object, new: object, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            below = f"{path}.{key}" if path else str(key)
            yield from _differences(old.get(key), new.get(key), below)
    elif _plain(old) != _plain(new):
        yield path


def _plain(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _runs_below(work_dir: Path) -> Iterator[tuple[Path, str, str]]:
    """Folders of runs with the time they began (RFC 3339, UTC) and their spec digests."""
    try:
        folders = [work_dir, *(p for p in work_dir.iterdir() if p.is_dir())]
    except OSError:
        return
    for path in folders:
        try:
            pinned = pinned_in(path)
        except AssayError:
            # A folder that cannot be read is no run that can go on.
            continue
        digest = _asked_in(path)
        if pinned is not None:
            yield path, pinned.started, spec_digest(pinned.run)
        elif digest is not None:
            made = datetime.fromtimestamp(path.stat().st_ctime, UTC)
            yield path, made.isoformat(), digest


def _begun(run: Run, path: Path) -> RunFolder:
    """Makes what every run's folder has, and leaves a note of what was asked for.

    Raises:
        StoreFullError: it cannot be written.
    """
    _make_logs(path)
    digest = spec_digest(run)
    FolderStore(path, path).put(keys.asked("run"), digest.encode())
    return RunFolder(path=path, run_id=_run_id(run, path), going_on=False)


def _asked_in(path: Path) -> str | None:
    try:
        return FolderStore(path, path).get(keys.asked("run")).decode()
    except (AssayError, UnicodeDecodeError):
        return None


def _run_id(run: Run, path: Path) -> str:
    word = "".join(c if c.isalnum() or c in "-_" else "-" for c in path.name)[:80]
    return f"{word or 'run'}-{spec_digest(run)[:12]}"


def _make_logs(path: Path) -> None:
    try:
        (path / "logs").mkdir(exist_ok=True)
        (path / ".assay").mkdir(exist_ok=True)
        probe = path / "logs" / ".writable"
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> StoreFullError:
    return StoreFullError(
        f"cannot write the run's folder {path}: {error.strerror or error}",
        cure="make room or make it writable, or name another folder with --run-dir",
    )
