"""The folder a sealed child works in: inputs written there, published files taken out again.

What comes out was written by hostile code: names are checked, links and odd files refused, sizes capped,
and nothing is opened as anything but bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from assay.domain.errors import ScorerError
from assay.domain.judge import JudgeAnswer
from assay.rpc.score_client import CHUNK_BYTES, ScorePrediction
from assay.scorer.judging import letter

FILE_LIMIT_BYTES = 1024 * 1024 * 1024
"""Largest file that is passed on."""

FILE_COUNT_LIMIT = 64
"""Upstream writes three to five files per task."""

_PREFIX = "assay-scorer-"
_NAME = re.compile(r"[\w][\w.+@=,() -]{0,250}\.(?:xlsx|csv|json|tsv)")


def write_answers(folder: Path, answers: Iterable[JudgeAnswer]) -> None:
    """What a judge has answered already, one letter per line, where a child looks for it."""
    with (folder / "answers.jsonl").open("w", encoding="utf-8") as stream:
        for answer in answers:
            stream.write(json.dumps(letter(answer)) + "\n")


class Spool:
    """One scoring's folder; remove it with `remove()`."""

    def __init__(self) -> None:
        _remove_stale()
        self.folder = Path(
            tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        ).resolve()
        (self.folder / "lmu").mkdir()

    def table_path(self, dataset: str) -> Path:
        """Where the prepared table goes.

        Raises:
            ScorerError: the name is no file name.
        """
        if "/" in dataset or dataset.startswith("."):
            raise ScorerError(f"{dataset!r} cannot be a dataset's name")
        return self.folder / "lmu" / f"{dataset}.tsv"

    def write_predictions(self, predictions: Sequence[ScorePrediction]) -> None:
        """One line per row, in dataset order, raw."""
        with (self.folder / "predictions.jsonl").open("w", encoding="utf-8") as stream:
            for prediction in predictions:
                failure = prediction.completion.failure
                line = {
                    "id": prediction.sample_id,
                    "text": prediction.completion.text,
                    "reason": failure.reason if failure else None,
                }
                stream.write(json.dumps(line) + "\n")

    def published(self) -> list[str]:
        """Names of the files the child left to publish, sorted.

        Raises:
            ScorerError: there is something among them that is not to be passed on.
        """
        folder = self.folder / "out"
        if folder.is_symlink() or not folder.is_dir():
            raise ScorerError("the scoring child left no folder of files")
        names = sorted(entry.name for entry in folder.iterdir())
        if len(names) > FILE_COUNT_LIMIT:
            raise ScorerError(f"the scoring child left {len(names)} files")
        for name in names:
            if not _NAME.fullmatch(name):
                raise ScorerError(f"the scoring child left a file named {name[:100]!r}")
        return names

    def pieces(self, name: str) -> Iterator[bytes]:
        """A published file's bytes, piece by piece.

        Raises:
            ScorerError: it is no plain file of its own, or too large.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self.folder / "out" / name, flags)
        except OSError as error:
            raise ScorerError(
                f"the scoring child's file {name} cannot be read: {error}"
            ) from error
        with os.fdopen(descriptor, "rb") as stream:
            told = os.fstat(descriptor)
            if not stat.S_ISREG(told.st_mode) or told.st_nlink != 1:
                raise ScorerError(f"the scoring child's file {name} is no plain file")
            if told.st_size > FILE_LIMIT_BYTES:
                raise ScorerError(
                    f"the scoring child's file {name} has {told.st_size} bytes"
                )
            while piece := stream.read(CHUNK_BYTES):
                yield piece

    def remove(self) -> None:
        """Removes the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _remove_stale() -> None:
    """Removes folders of scorers that were killed before they could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).split("-")[0]
        with contextlib.suppress(OSError, ValueError):
            mine = folder.lstat().st_uid == os.getuid()
            if mine and not _alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
