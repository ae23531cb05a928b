"""Stands where upstream's own plumbing stood during `evaluate()`, and notes what each row came to.

`install()` replaces, once per scoring child, what is slow or impossible behind the seal: the progress
runner that rewrites a pickle after every row, process pools, downloads, files in /tmp. `Recorder` is one
pass's notes. Upstream's decisions stay upstream's: nothing here computes a verdict.
"""

from __future__ import annotations

import contextvars
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Self

FAILED_ANSWER = "Failed to obtain answer via API."
"""What upstream writes where a request failed."""

_row: contextvars.ContextVar[int | None] = contextvars.ContextVar("row", default=None)
"""The position, in the prediction file, of the row that upstream's per-row function works on."""


@dataclass(slots=True)
class Recorder:
    """What one pass came to, row by row; rows are positions in the prediction file, from 0.

    Attributes:
        skipped: rows without an answer; upstream scores its own failure text there, for the figures that
            it would print, and nothing is noted of them.
        errors: rows whose per-row function raised, and what.
        failed: whether `evaluate()` itself raised.
        places: the rows of the member that upstream works on, by their position in its own file; None:
            the dataset is no collection.
        rows_of: the rows of each member of a collection.
        members: the file and the scores of each member that upstream has evaluated.
        results: what the per-row function gave, by row.
        options: the option letter upstream read, by row (multiple choice).
        hits: per-row scores as upstream's metric counts them (VQA, captions), in file order.
        frames: every table upstream loaded, by path, in order; upstream goes on changing them.
    """

    skipped: frozenset[int] = frozenset()
    errors: dict[int, str] = field(default_factory=dict)
    failed: bool = False
    places: Sequence[int] | None = None
    rows_of: Mapping[str, Sequence[int]] = field(default_factory=dict)
    members: dict[str, tuple[str, Any]] = field(default_factory=dict)
    results: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    options: dict[int, str] = field(default_factory=dict)
    hits: list[float] | None = None
    frames: list[tuple[str, Any]] = field(default_factory=list)
    single: Any = None
    """The one-row table that upstream reads and writes no files for, while it is asked about that row."""

    def first_frame(self, path: str) -> Any:
        """The table as upstream first read it from `path`; None: it never did."""
        return next((frame for where, frame in self.frames if where == path), None)

    def last_frame(self, ending: str) -> Any:
        """The last table read from a path that ends so; None: there is none."""
        found = [frame for where, frame in self.frames if where.endswith(ending)]
        return found[-1] if found else None

    share: float = 0.0
    """What that row counts in upstream's metric (captions)."""

    def row(self, label: Any) -> int:
        """The row in the prediction file that has `label` in the file that upstream works on."""
        return int(label) if self.places is None else self.places[int(label)]

    def attempt(self, row: int, function: Callable[[], Any], placeholder: Any) -> Any:
        """Runs a per-row function; a failing row gets the placeholder instead."""
        skipped = row in self.skipped
        token = _row.set(None if skipped else row)
        try:
            result = function()
        except Exception as error:  # noqa: BLE001 - one row's failure is that row's alone
            self.note_error(row, error)
            return placeholder
        finally:
            _row.reset(token)
        if not skipped:
            self.results[row] = result
        return result

    def alone(self, row: int, table: Any, evaluate: Callable[[], Any]) -> Any:
        """What `evaluate` makes of a table of one row, without files; None: it raised."""
        self.single = table
        try:
            return evaluate()
        except Exception as error:  # noqa: BLE001 - as above
            self.note_error(row, error)
            return None
        finally:
            self.single = None

    def note_error(self, row: int, error: Exception) -> None:
        """Keeps what a row's per-row function raised."""
        self.errors[row] = f"{type(error).__name__}: {error}"[:500]


_active: Recorder = Recorder()


def record(recorder: Recorder) -> None:
    """Makes `recorder` the one that notes from now on."""
    global _active  # noqa: PLW0603 - upstream's functions cannot be handed a recorder
    _active = recorder


def install() -> None:
    """Replaces upstream's plumbing in every module of it that is loaded."""
    from openpyxl.reader import excel  # noqa: PLC0415 - slow, and only scoring needs it
    from pandas.io.excel._openpyxl import (  # type: ignore[import-not-found]  # noqa: PLC0415
        OpenpyxlReader,
    )
    from vlmeval.dataset import (  # noqa: PLC0415 - only behind the shim
        image_base,
        image_caption,
    )
    from vlmeval.dataset.utils import multiple_choice, vqa_eval  # noqa: PLC0415
    from vlmeval.smp import file as files  # noqa: PLC0415
    from vlmeval.utils import mp_util  # noqa: PLC0415

    from assay.vlmevalkit.scoring_sheets import (  # noqa: PLC0415 - openpyxl, as above
        read_sheet,
        read_string_table,
    )

    _replace(mp_util.track_progress_rich, _track)
    _replace(files.load, _loading(files.load))
    _replace(files.dump, _dumping(files.dump))
    _replace(files.download_file, _refuse_download)
    _replace(
        multiple_choice.extract_answer_from_item,
        _noting_option(multiple_choice.extract_answer_from_item),
    )
    _replace(
        multiple_choice.prefetch_answer,
        _noting_prefetch(multiple_choice.prefetch_answer),
    )
    _replace(
        multiple_choice.prefetch_circular_group,
        _noting_rotations(
            multiple_choice.prefetch_circular_group, multiple_choice.prefetch_answer
        ),
    )
    _replace(vqa_eval.hit_calculate, _noting_hits(vqa_eval.hit_calculate))
    captions = image_caption.COCO_Caption_Scorer
    captions.__init__ = _noting_shares(captions.__init__)
    image_base.ImageBaseDataset.prepare_tsv = _prepare_tsv
    excel.read_string_table = read_string_table
    OpenpyxlReader.get_sheet_data = read_sheet(OpenpyxlReader.get_sheet_data)
    for module in _upstream_modules():
        pools = getattr(module, "mp", None)
        if isinstance(pools, ModuleType) and pools.__name__ == "multiprocessing":
            module.mp = _SerialProcessing()  # type: ignore[attr-defined]


def _upstream_modules() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name == "vlmeval" or name.startswith("vlmeval.")
    ]


def _replace(old: Any, new: Any) -> None:
    for module in _upstream_modules():
        for name, value in list(vars(module).items()):
            if value is old:
                setattr(module, name, new)


_NO_VERDICT = {"hit": 0, "opt": "Z", "log": "unscored"}
"""What upstream finds where a row's function failed; its figures then are not published."""


def _track(
    func: Callable[..., Any],
    tasks: Iterable[Any] = (),
    nproc: int | None = 1,  # noqa: ARG001 - upstream's signature
    save: str | None = None,
    keys: Sequence[Any] | None = None,
    **_kwargs: Any,
) -> list[Any]:
    """Upstream's progress runner: same results, saved once; rows that fail leave a placeholder."""
    from vlmeval.smp import dump, load  # noqa: PLC0415 - only behind the shim

    saved = load(save) if save is not None and Path(save).exists() else {}
    results = []
    for position, inputs in enumerate(tasks):
        result = _active.attempt(
            _row_of(inputs, position), _bound(func, inputs), dict(_NO_VERDICT)
        )
        results.append(result)
        if keys is not None:
            saved[keys[position]] = result
    if save is not None:
        dump(saved, save)
    return results


def _bound(func: Callable[..., Any], inputs: Any) -> Callable[[], Any]:
    if isinstance(inputs, dict):
        return lambda: func(**inputs)
    if isinstance(inputs, tuple | list):
        return lambda: func(*inputs)
    return lambda: func(inputs)


def _row_of(inputs: Any, position: int) -> int:
    """The row a call is about: upstream passes rows of the loaded table, whose label is the position."""
    values = inputs.values() if isinstance(inputs, dict) else inputs
    for value in values if isinstance(values, Iterable) else ():
        label = getattr(value, "name", None)
        if hasattr(value, "iloc") and label is not None:
            return _active.row(label)
    return _active.row(position)


class _SerialPool:
    """A process pool without processes: the seal allows none."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        pass

    def map(self, func: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Every item through `func`; a row without any comparison has no verdict and counts as failed."""
        placeholder = {"gt": [], "pred": "", "match": [0.0]}
        results = []
        for position, item in enumerate(items):
            row = _row_of((item,), position)
            results.append(
                _active.attempt(row, partial(_match, func, item), placeholder)
            )
        return results

    def close(self) -> None:
        """Nothing to close."""

    join = terminate = close


def _match(func: Callable[[Any], Any], item: Any) -> Any:
    result = func(item)
    if isinstance(result, dict) and "match" in result and not result["match"]:
        raise ValueError("the row's answer is an empty list: there is nothing to match")
    return result


class _SerialProcessing:
    """What upstream uses of `multiprocessing` in its dataset classes."""

    Pool = _SerialPool

    @staticmethod
    def cpu_count() -> int:
        """One: there are no processes to spread over."""
        return 1


def _redirected(path: Any) -> Any:
    """Upstream writes a scratch table straight into /tmp; the seal gives it a folder of its own."""
    if isinstance(path, str) and os.path.dirname(path) == "/tmp":  # noqa: PTH120, S108 - literally
        return f"{tempfile.gettempdir()}/{Path(path).name}"
    return path


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(f: Any, fmt: str | None = None) -> Any:
        if _active.single is not None:
            return _active.single
        frame = original(_redirected(f), fmt)
        if str(f).endswith(".xlsx"):
            _active.frames.append((str(f), frame))
        return frame

    return load


def _dumping(original: Callable[..., Any]) -> Callable[..., Any]:
    from assay.vlmevalkit.scoring_sheets import write_table  # noqa: PLC0415 - openpyxl, slow

    def dump(data: Any, f: str, **kwargs: Any) -> Any:
        if _active.single is not None:
            return None
        path = _redirected(f)
        otherwise = partial(original, data, path, **kwargs)
        if kwargs or not path.endswith(".xlsx"):
            return otherwise()
        return write_table(data, path, otherwise)

    return dump


def _refuse_download(url: str, filename: str | None = None) -> str:
    raise RuntimeError(f"scoring downloads nothing: {url} (as {filename})")


def _prepare_tsv(dataset: Any, url: str, file_md5: str | None = None) -> Any:  # noqa: ARG001
    """The prepared table, as upstream reads a TSV that is there and has the right md5."""
    from vlmeval.smp import LMUDataRoot, load  # noqa: PLC0415 - only behind the shim

    dataset.data_path = str(Path(LMUDataRoot()) / f"{dataset.dataset_name}.tsv")
    return load(dataset.data_path)


def _noting_option(original: Callable[..., Any]) -> Callable[..., Any]:
    def extract_answer_from_item(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        row = _row.get()
        if row is not None:
            _active.options[row] = str(found["opt"])
        return found

    return extract_answer_from_item


def _noting_prefetch(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What upstream reads from one rotation of a question."""

    def prefetch_answer(item: Any) -> Any:
        row = _active.row(item.name)
        try:
            option = original(item)
        except Exception as error:
            _active.note_error(row, error)
            raise
        if row not in _active.skipped:
            _active.results[row] = {"hit": int(option == item["GT"])}
            _active.options[row] = str(option or "Z")
        return option

    return prefetch_answer


def _noting_rotations(
    original: Callable[..., Any], prefetch_answer: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Upstream stops at a group's first wrong rotation; here it is asked about each of them."""

    def prefetch_circular_group(sub_data: Any, verbose: bool = False) -> Any:  # noqa: FBT001, FBT002 - upstream's
        found = original(sub_data, verbose=verbose)
        for place, label in enumerate(sub_data.index):
            if _active.row(label) not in _active.results:
                prefetch_answer(sub_data.iloc[place])
        return found

    return prefetch_circular_group


def _noting_hits(original: Callable[..., Any]) -> Callable[..., Any]:
    def hit_calculate(result: Any, *args: Any, **kwargs: Any) -> Any:
        hits = original(result, *args, **kwargs)
        if (
            _active.hits is None
        ):  # the first call is over every row, the rest over splits
            _active.hits = [float(hit) for hit in hits]
        return hits

    return hit_calculate


def _noting_shares(original: Callable[..., None]) -> Callable[..., None]:
    """Upstream's caption scorer, whose ROUGE-L is the mean of the captions' own."""

    def __init__(self: Any, *args: Any) -> None:  # noqa: N807 - it stands for one
        original(self, *args)
        for scorer, method in self.scorers:
            if method == "ROUGE_L":
                scorer.compute_score = _noting_rouge(scorer.compute_score)

    return __init__


def _noting_rouge(original: Callable[..., Any]) -> Callable[..., Any]:
    def compute_score(*args: Any) -> Any:
        mean, shares = original(*args)
        if _active.single is None:
            _active.hits = [float(share) for share in shares]
        else:
            _active.share = float(shares[0])
        return mean, shares

    return compute_score
