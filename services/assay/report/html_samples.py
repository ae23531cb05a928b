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

from assay.domain.errors import CorruptError
from assay.domain.prompt import PicturePart
from assay.domain.sample import SampleState

BUDGET_BYTES = 24_000_000
"""For the samples of all tasks together."""
_CUTS = (65_536, 16_384, 8_192, 4_096, 2_048, 1_024, 512, 256, 128)
"""How much of a text is kept, in characters; the first that fits is taken."""
_TEXTS = ("prediction", "extracted", "target", "prompt", "failure", "judge")
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
PICTURE = "\ufffc"
"""Stands in a prompt's text where a picture was shown."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What models were shown, per sample in dataset order.

    Attributes:
        texts: with a `PICTURE` for each picture; None: the sample could not be asked about.
        pictures: those pictures, in order.
    """

    texts: Sequence[str | None]
    pictures: Sequence[Sequence[PicturePart]]


class PromptSource(Protocol):
    """Where a page's prompts come from."""

    def shown(
        self, dataset: str, digest: str, sample_ids: Sequence[str]
    ) -> Shown | None:
        """What was shown for these first samples of a dataset; None: it is not to be had."""


@dataclass(frozen=True, slots=True)
class SampleTable:
    """One task's samples in dataset order.

    Attributes:
        columns: the sample table's columns, `prompt` where prompts are known, `failure` where
            something was said about a sample without an answer, and `judge` where one was asked.
        verdicts: one letter per sample.
        pictures: what was shown, per sample; empty where that is not known.
    """

    columns: Mapping[str, list[Any]]
    verdicts: str
    pictures: Sequence[Sequence[PicturePart]] = ()

    def __len__(self) -> int:
        return len(self.verdicts)

    def by_category(self) -> dict[str, Counter[str]]:
        """Category -> verdict letter -> samples, in order of appearance; empty without categories."""
        found: dict[str, Counter[str]] = {}
        for name, verdict in zip(self.columns["category"], self.verdicts, strict=True):
            if name is not None:
                found.setdefault(name, Counter())[verdict] += 1
        return found


@dataclass(frozen=True, slots=True)
class Numbered:
    """The pictures of a table's samples.

    Attributes:
        names: of the pictures, in order of appearance; None: it does not lie beside the page.
        of: per sample, the numbers of its pictures.
    """

    names: Sequence[str | None]
    of: Sequence[Sequence[int]]


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
        CorruptError: it is no sample table, outside the folder, or gone.
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
        raise CorruptError(
            f"cannot read {path}: it is not there",
            cure="`assay run FILE --resume` writes the tables of a run again",
        ) from error
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        raise CorruptError(f"cannot read {path}: {error}") from error
    return SampleTable(columns, verdicts)


def with_prompts(table: SampleTable, shown: Shown | None) -> SampleTable:
    """The table with what was shown for each sample; as it is where that is not known."""
    if shown is None:
        return table
    columns = {**table.columns, "prompt": list(shown.texts)}
    return replace(table, columns=columns, pictures=shown.pictures)


def embed(
    tables: Sequence[SampleTable],
    pictures: Sequence[Numbered | None] = (),
    budget: int = BUDGET_BYTES,
) -> Embedded:
    """The tables as JSON of at most `budget` bytes in all; the least is cut that makes them fit.

    `pictures` are those of each table, see `Album.numbered`; none where nothing is known of any.
    """
    pages = list(zip(tables, pictures or [None] * len(tables), strict=True))
    lengths = _lengths(tables)
    for cut in _CUTS:
        # Bytes that do if nothing needs escaping: rules out what need not be tried.
        if sum(min(length, cut) for length in lengths) > budget:
            continue
        documents = [_document(*page, cut, len(page[0])) for page in pages]
        if _size(documents) <= budget:
            return Embedded(documents, cut)
    rows = max(len(table) for table in tables)
    documents = [_document(*page, _CUTS[-1], rows) for page in pages]
    while _size(documents) > budget:
        rows //= 2
        documents = [_document(*page, _CUTS[-1], rows) for page in pages]
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


def _lengths(tables: Sequence[SampleTable]) -> list[int]:
    """Of all texts that may be cut."""
    return [
        len(text)
        for table in tables
        for name in _TEXTS
        for text in table.columns.get(name, ())
        if text is not None
    ]


def _size(documents: Sequence[str]) -> int:
    return sum(len(text.encode("utf-8", errors="replace")) for text in documents)


def _document(
    table: SampleTable, pictures: Numbered | None, cut: int, rows: int
) -> str:
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
    if pictures is not None:
        of = pictures.of[:rows]
        used = max((number for numbers in of for number in numbers), default=-1) + 1
        document["pictures"] = {"names": pictures.names[:used], "of": of}
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
