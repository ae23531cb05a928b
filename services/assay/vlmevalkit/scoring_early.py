"""Judging while inference runs: a sealed child that asks the judge about each row as its answer lands.

The scorer runs it beside inference, with the document of `scoring` and letters `{"row", "text"}`, at last
`{"end"}`. Nothing of what it finds counts but the judge's recorded answers: scoring finds them there. It
lets upstream evaluate a table of stand-ins, and gives each per-row function its row once the answer is
there, as an all-text column would give it; a request that turns out otherwise is asked again later.
"""

from __future__ import annotations

import json
import os
import queue
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES  # type: ignore[import-not-found]

from assay.domain.errors import AssayError
from assay.seal.child import read_lines, seal
from assay.vlmevalkit import scoring, scoring_collections
from assay.vlmevalkit.scoring_evaluate import Answer, ScoringTask, opened, run
from assay.vlmevalkit.scoring_recorder import Recorder, RowCall

Letters = queue.SimpleQueue[Mapping[str, Any]]

_STAND_IN = "-"
"""A prediction that no rule reads anything out of."""

_AS_TEXT = frozenset({"eval_vanilla", "eval_circular_group", "YOrN_auxeval"})
"""Functions whose callers make text of every prediction."""

_WHOLE_TABLE = frozenset({"LLaVABench_atomeval"})
"""Functions that are given no row: their prompts are made of the whole table at once."""


def main() -> None:
    """Imports, seals, asks about what lands."""
    scoring.prepare()
    outlet = seal()
    lines = read_lines()
    document = json.loads(next(lines))
    landed: Letters = queue.SimpleQueue()
    judging = document["judging"]
    try:
        scoring_collections.unpack(document["dataset"], Path("lmu"))
        task = ScoringTask(
            dataset=document["dataset"],
            model=document["model"],
            judge=document["judge"],
            limit=document["limit"],
            answers=(),
            tape=scoring.tape_of(outlet, lines, judging, landed.put),
            judge_settings=judging["settings"],
        )
        _judge(task, landed, judging["slots"])
        outlet.send({"done": True})
    except AssayError as error:
        outlet.send({"error": {"message": error.message, "cure": error.cure}})


def _judge(task: ScoringTask, landed: Letters, slots: int) -> None:
    dataset = opened(task)
    conversations = dataset.TYPE == "MT"
    text = json.dumps([_STAND_IN]) if conversations else _STAND_IN
    ids = [str(index) for index in dataset.data["index"]]
    answers = [Answer(sample_id=each, text=text) for each in ids]
    landing = Landing(landed, _talk if conversations else _cell)
    recording = partial(EarlyRecorder, landing=landing)
    whole = replace(task, answers=answers)
    run(whole, Path("early"), range(len(ids)), slots=slots, recording=recording)


class Landing:
    """The answers that have landed, as cells; each row once."""

    def __init__(self, letters: Letters, cell: Callable[[str], Any]) -> None:
        self._letters = letters
        self._cell = cell
        self._aside: dict[int, Any] = {}
        self._ended = False

    def rows(self, wanted: set[int]) -> Iterator[tuple[int, Any]]:
        """The `wanted` rows as they land, until all have or nothing more comes; None: no answer."""
        for row in sorted(wanted & self._aside.keys()):
            wanted.remove(row)
            yield row, self._aside.pop(row)
        while wanted and not self._ended:
            letter = self._letters.get()
            if "end" in letter:
                self._ended = True
            elif letter["row"] in wanted:
                wanted.remove(letter["row"])
                yield letter["row"], self._of(letter["text"])
            else:
                self._aside[letter["row"]] = self._of(letter["text"])

    def _of(self, text: str | None) -> Any:
        return None if text is None else self._cell(text)


def _talk(text: str) -> str:
    """A conversation's answers as upstream writes a list into a cell."""
    return str(json.loads(text))


_LONGEST_PLAIN = 30_000
"""A cell holds 32,767 characters."""
_OTHERWISE = re.compile(
    r"[={]|(?:https?|ftp|mailto|internal|external|file):", re.IGNORECASE
)
"""What a sheet takes for a formula, or for a link."""


def _is_plain(text: str) -> bool:
    """Whether a sheet gives a text back as it is, for certain: the way through one costs 5 ms."""
    return (
        text.isprintable()
        and text == text.strip()
        and len(text) <= _LONGEST_PLAIN
        and "_x" not in text
        and text not in STR_NA_VALUES
        and not _OTHERWISE.match(text)
    )


def _cell(text: str) -> Any:
    """A prediction as it is read back from a column in which others are text."""
    if text and _is_plain(text):
        return text
    path = os.path.join(os.environ["TMPDIR"], "cell.xlsx")  # noqa: PTH118 - one string
    column = pd.DataFrame({"prediction": [text, _STAND_IN]})
    column.to_excel(path, index=False, engine="xlsxwriter")
    return pd.read_excel(path)["prediction"][0]


@dataclass(slots=True, kw_only=True)
class EarlyRecorder(Recorder):
    """Runs per-row functions as their rows' answers land."""

    landing: Landing
    cells: dict[int, Any] = field(default_factory=dict)

    def each(self, calls: Sequence[RowCall]) -> list[Any]:
        """Placeholders, after every call whose rows landed was made."""
        if calls and calls[0].function.__name__ not in _WHOLE_TABLE:
            self._make(calls)
        return [call.placeholder for call in calls]

    def _make(self, calls: Sequence[RowCall]) -> None:
        call_of = {row: call for call in calls for row in call.rows}
        with ThreadPoolExecutor(self.slots, thread_name_prefix="row") as pool:
            for row, cell in self.landing.rows(set(call_of)):
                self.cells[row] = cell
                call = call_of[row]
                if all(self.cells.get(each) is not None for each in call.rows):
                    pool.submit(self._ask, call)

    def _ask(self, call: RowCall) -> None:
        if call.function.__name__ == "YOrN_auxeval" and self._read_by_rule(call):
            return
        values = call.inputs
        if isinstance(values, dict):
            inputs: Any = {k: self._filled(v, call) for k, v in values.items()}
        else:
            inputs = tuple(self._filled(value, call) for value in values)
        self.called(call._replace(inputs=inputs))

    def _read_by_rule(self, call: RowCall) -> bool:
        from vlmeval.dataset.utils.yorn import YOrN_Extraction  # noqa: PLC0415 - upstream

        return bool(YOrN_Extraction(str(self.cells[call.rows[0]])) != "Unknown")

    def _filled(self, value: Any, call: RowCall) -> Any:
        """A row, or the rows of a group, with the landed predictions."""
        if not hasattr(value, "iloc"):
            return value
        cells = [self.cells[row] for row in call.rows]
        if call.function.__name__ in _AS_TEXT:
            cells = [str(cell) for cell in cells]
        filled = value.copy()
        filled["prediction"] = cells if value.ndim > 1 else cells[0]
        return filled


if __name__ == "__main__":
    main()
