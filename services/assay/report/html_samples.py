"""Sample tables of a run's folder as compact JSON for its page; `html` embeds it.

The page must open at once with tens of thousands of samples, so there is a budget in bytes: long texts
are cut until the whole fits, at last rows are left out, and the page says which of both happened.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from assay.domain.errors import CorruptError, NotFoundError
from assay.domain.sample import SampleState

BUDGET_BYTES = 24_000_000
"""For the samples of all tasks together."""
_CUTS = (65_536, 16_384, 8_192, 4_096, 2_048, 1_024, 512, 256, 128)
"""How much of a text is kept, in characters; the first that fits is taken."""
_TEXTS = ("prediction", "extracted", "target", "prompt")
_CODED = ("reason", "category")
_READ = (
    "sample_id",
    "state",
    "reason",
    "prediction",
    "target",
    "extracted",
    "score",
    "category",
)

RIGHT, PARTLY, WRONG, UNSCORED, UNJUDGED = "rpwun"
"""One letter per sample, as the page's script reads it."""


class PromptSource(Protocol):
    """Where a page's prompts come from."""

    def texts(self, dataset: str, digest: str) -> Sequence[str | None] | None:
        """The prompt of every sample in dataset order; None: this dataset's are not to be had."""


@dataclass(frozen=True, slots=True)
class SampleTable:
    """One task's samples in dataset order.

    Attributes:
        columns: the sample table's columns, and `prompt` where prompts are known.
        verdicts: one letter per sample.
    """

    columns: Mapping[str, list[Any]]
    verdicts: str

    def __len__(self) -> int:
        return len(self.verdicts)

    @property
    def scores(self) -> list[float]:
        """Of the samples that have one."""
        return [score for score in self.columns["score"] if score is not None]

    def by_category(self) -> dict[str, Counter[str]]:
        """Category -> verdict letter -> samples, in order of appearance; empty without categories."""
        found: dict[str, Counter[str]] = {}
        for name, verdict in zip(self.columns["category"], self.verdicts, strict=True):
            if name is not None:
                found.setdefault(name, Counter())[verdict] += 1
        return found


@dataclass(frozen=True, slots=True)
class Embedded:
    """Samples as the page holds them.

    Attributes:
        documents: one JSON text per table, safe inside a script element.
        cut: texts are kept to so many characters.
        rows: tables are kept to so many rows; None: nothing is left out.
    """

    documents: list[str]
    cut: int
    rows: int | None = None


def read_samples(run_dir: Path, name: str) -> SampleTable:
    """The sample table `name`, a path within the run's folder.

    Raises:
        CorruptError: it is no sample table, or outside the folder.
        NotFoundError: it is gone.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow, and only pages need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    path = run_dir / name
    if not path.resolve().is_relative_to(run_dir.resolve()):
        raise CorruptError(f"cannot read {path}: it is outside the run's folder")
    try:
        columns = pq.read_table(path, columns=list(_READ)).to_pydict()
        rows = zip(columns["state"], columns["score"], strict=True)
        verdicts = "".join(_verdict(state, score) for state, score in rows)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"cannot read {path}: it is not there",
            cure="`assay run FILE --resume` writes the tables of a run again",
        ) from error
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    return SampleTable(columns, verdicts)


def with_prompts(table: SampleTable, texts: Sequence[str | None] | None) -> SampleTable:
    """The table with a prompt beside each sample; as it is where there are none."""
    if texts is None or len(texts) < len(table):
        return table
    columns = {**table.columns, "prompt": list(texts[: len(table)])}
    return replace(table, columns=columns)


def embed(tables: Sequence[SampleTable], budget: int = BUDGET_BYTES) -> Embedded:
    """The tables as JSON of at most `budget` bytes in all; the least is cut that makes them fit."""
    likely = [cut for cut in _CUTS if _estimate(tables, cut) <= budget]
    for cut in likely or _CUTS[-1:]:
        documents = [_document(table, cut, len(table)) for table in tables]
        if _size(documents) <= budget:
            return Embedded(documents, cut)
    rows = max(len(table) for table in tables)
    while _size(documents) > budget:
        rows //= 2
        documents = [_document(table, _CUTS[-1], rows) for table in tables]
    return Embedded(documents, _CUTS[-1], rows)


def in_script(document: object) -> str:
    """JSON that cannot end the script element it stands in, nor be taken for a comment there."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _verdict(state: str, score: float | None) -> str:
    if state == SampleState.UNSCORED:
        return UNSCORED
    if score is None:
        return UNJUDGED
    return WRONG if score <= 0 else RIGHT if score == 1 else PARTLY


def _estimate(tables: Sequence[SampleTable], cut: int) -> int:
    """Bytes that will do if nothing needs escaping: rules out what need not be tried."""
    return sum(
        min(len(text), cut)
        for table in tables
        for name in _TEXTS
        for text in table.columns.get(name, ())
        if text is not None
    )


def _size(documents: Sequence[str]) -> int:
    return sum(len(text.encode("utf-8", errors="replace")) for text in documents)


def _document(table: SampleTable, cut: int, rows: int) -> str:
    columns = table.columns
    document: dict[str, object] = {
        "verdicts": table.verdicts[:rows],
        "id": [_cut(text, cut) for text in columns["sample_id"][:rows]],
        "score": [_short(score) for score in columns["score"][:rows]],
    }
    for name in _CODED:
        document[name] = _coded(columns[name][:rows], cut)
    for name in _TEXTS:
        if name in columns:
            document[name] = [_cut(text, cut) for text in columns[name][:rows]]
    return in_script(document)


def _cut(text: str | None, cut: int) -> str | list[object] | None:
    """The text, or its beginning and how long all of it is."""
    if text is None or len(text) <= cut:
        return text
    return [text[:cut], len(text)]


def _coded(values: Sequence[str | None], cut: int) -> dict[str, object]:
    """Few different words, many times: each is said once."""
    words: dict[str, int] = {}
    codes = [-1 if v is None else words.setdefault(v, len(words)) for v in values]
    return {"words": [word[:cut] for word in words], "codes": codes}


def _short(score: float | None) -> float | int | None:
    if score is None:
        return None
    return int(score) if score.is_integer() else round(score, 6)
