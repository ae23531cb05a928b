"""Stands where upstream's own plumbing stood during `evaluate()`.

`install()` replaces, once per scoring child, what is slow or impossible behind the seal: the progress
runner that rewrites a pickle after every row, process pools, downloads, files in /tmp. Upstream's
decisions stay upstream's: nothing here computes a verdict, each is noted in the active recorder.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from assay.vlmevalkit.scoring_exhausted import placeholder
from assay.vlmevalkit.scoring_recorder import ROW, RowCall, active
from assay.vlmevalkit.scoring_tape import RowEndedError


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
    results = active().each(
        [
            RowCall(_rows_of(inputs, position), func, inputs, placeholder(func))
            for position, inputs in enumerate(tasks)
        ]
    )
    if keys is not None:
        saved.update(zip(keys, results, strict=True))
    if save is not None:
        dump(saved, save)
    return results


def _rows_of(inputs: Any, position: int) -> list[int]:
    """The rows a call is about: upstream passes rows of the loaded table, whose labels are the positions."""
    values = inputs.values() if isinstance(inputs, dict) else inputs
    for value in values if isinstance(values, Iterable) else ():
        if hasattr(value, "iloc"):
            labels = value.index if value.ndim > 1 else [value.name]
            return [active().row(label) for label in labels]
    return [active().row(position)]


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
        nothing = {"gt": [], "pred": "", "match": [0.0]}
        results = []
        for position, item in enumerate(items):
            rows = _rows_of((item,), position)
            results.append(active().attempt(rows, partial(_match, func, item), nothing))
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
        if active().single is not None:
            return active().single
        frame = original(_redirected(f), fmt)
        if str(f).endswith((".xlsx", ".tsv")):
            active().frames.append((str(f), frame))
        return frame

    return load


def _dumping(original: Callable[..., Any]) -> Callable[..., Any]:
    from assay.vlmevalkit.scoring_sheets import write_table  # noqa: PLC0415 - openpyxl, slow

    def dump(data: Any, f: str, **kwargs: Any) -> Any:
        if active().single is not None:
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
    """The option read from one row, by rule or by the judge, who is asked about that row."""

    def extract_answer_from_item(model: Any, item: Any, **kwargs: Any) -> Any:
        if ROW.get() is None:
            return original(model, item, **kwargs)
        row = active().row(item.name)
        token = ROW.set(row)
        try:
            found = original(model, item, **kwargs)
        except RowEndedError as end:
            end.row = row
            raise
        finally:
            ROW.reset(token)
        active().options[row] = str(found["opt"])
        if "GT" in item:  # where answers are not public, only the option is wanted
            active().results[row] = {"hit": int(found["opt"] == item["GT"])}
        return found

    return extract_answer_from_item


def _noting_prefetch(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What upstream reads from one rotation of a question."""

    def prefetch_answer(item: Any) -> Any:
        row = active().row(item.name)
        try:
            option = original(item)
        except Exception as error:
            active().note_error(row, error)
            raise
        if row not in active().skipped:
            active().results[row] = {"hit": int(option == item["GT"])}
            active().options[row] = str(option or "Z")
        return option

    return prefetch_answer


def _noting_rotations(
    original: Callable[..., Any], prefetch_answer: Callable[[Any], Any]
) -> Callable[..., Any]:
    """Upstream stops at a group's first wrong rotation; here it is asked about each of them."""

    def prefetch_circular_group(sub_data: Any, verbose: bool = False) -> Any:  # noqa: FBT001, FBT002 - upstream's
        found = original(sub_data, verbose=verbose)
        for place, label in enumerate(sub_data.index):
            if active().row(label) not in active().results:
                prefetch_answer(sub_data.iloc[place])
        return found

    return prefetch_circular_group


def _noting_hits(original: Callable[..., Any]) -> Callable[..., Any]:
    def hit_calculate(result: Any, *args: Any, **kwargs: Any) -> Any:
        hits = original(result, *args, **kwargs)
        if (
            active().hits is None
        ):  # the first call is over every row, the rest over splits
            active().hits = [float(hit) for hit in hits]
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
        if active().single is None:
            active().hits = [float(share) for share in shares]
        else:
            active().share = float(shares[0])
        return mean, shares

    return compute_score
