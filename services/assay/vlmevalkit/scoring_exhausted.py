"""What becomes of a row whose judge replies cannot be read: family by family, and its placeholder.

Upstream guesses an option (multiple choice) or scores something all the same, without a word. Here each
case is decided once, in this module, as docs/judge.md says; `install()` wraps upstream's per-row
functions, which keep every verdict that a reply led to.

  multiple choice   no reply of three names an option         unscored (upstream draws an option)
  yes/no            five replies neither, one says `unknown`  upstream's: Unknown, which is wrong
                    five replies neither, none says so        unscored (upstream: Unknown)
  MathVista         the extraction is no number               upstream's: wrong; counted
  MathVision        every extraction is compared              upstream's
  MMVet             no reply of five is a number in 0 to 1    unscored (upstream: 0.0)
  LLaVABench        the first line is no two numbers          unscored (upstream: -1, averaged)
  MMDU              a turn's reply lacks one of the scores    unscored (upstream: 0 in `all`)
"""

from __future__ import annotations

import functools
import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from assay.domain.sample import UnscoredReason
from assay.vlmevalkit.scoring_recorder import ROW, active
from assay.vlmevalkit.scoring_tape import RowEndedError

_CHOICE = {"hit": 0, "opt": "Z", "log": "unscored"}
_EXTRACTED = {"log": "unscored", "res": ""}

_PLACEHOLDERS: Mapping[str, Callable[[], Any]] = {
    "eval_vanilla": lambda: dict(_CHOICE),
    "eval_circular_group": lambda: dict(_CHOICE),
    "YOrN_auxeval": lambda: "Unknown",
    "MathVista_auxeval": lambda: dict(_EXTRACTED),
    "MATH_V_auxeval": lambda: dict(_EXTRACTED),
    "MMVet_auxeval": lambda: {"log": "unscored", "score": 0.0},
    "LLaVABench_atomeval": lambda: [-1, -1],
    "mmdu_score": lambda: _no_scores(),  # noqa: PLW0108 - defined below
}
"""What upstream finds in place of a row's result, by per-row function: just what it will index into."""


def placeholder(function: Callable[..., Any]) -> Any:
    """What stands for the result of `function` where a row has none; its figures are not published."""
    name = getattr(function, "__name__", "")
    return _PLACEHOLDERS.get(name, lambda: dict(_CHOICE))()


def _no_scores() -> dict[str, Any]:
    import pandas as pd  # noqa: PLC0415 - slow, and only this family's

    return {"res": pd.DataFrame(), "log": "unscored"}


def install() -> None:
    """Wraps the per-row functions of the families that a judge decides."""
    import vlmeval.smp.log  # noqa: PLC0415 - only behind the shim

    # What LLaVABench's module imports under a name that is not there.
    sys.modules["vlmeval.dataset.smp"] = vlmeval.smp
    sys.modules["vlmeval.dataset.smp.log"] = vlmeval.smp.log
    from vlmeval.dataset.utils import (  # noqa: PLC0415
        llavabench,
        mathvista,
        mmdu,
        mmvet,
        yorn,
    )

    yorn.YOrN_auxeval = _checked(yorn.YOrN_auxeval, _yes_no)
    mathvista.MathVista_auxeval = _checked(mathvista.MathVista_auxeval, _math_vista)
    mmvet.MMVet_auxeval = _checked(mmvet.MMVet_auxeval, _mmvet)
    llavabench.LLaVABench_atomeval = _checked(llavabench.LLaVABench_atomeval, _llava)
    mmdu.mmdu_score = _checked(mmdu.mmdu_score, _mmdu)


def _checked(
    original: Callable[..., Any], check: Callable[[Any, tuple[Any, ...]], None]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def checked(*args: Any) -> Any:
        found = original(*args)
        check(found, args)
        return found

    return checked


def _unparseable(said: str) -> RowEndedError:
    return RowEndedError(UnscoredReason.JUDGE_UNPARSEABLE, said)


def _note() -> None:
    row = ROW.get()
    if row is not None:
        active().exhausted.add(row)


def _yes_no(found: str, _args: tuple[Any, ...]) -> None:
    if found != "Unknown":
        return
    # The prompt offers this word: a judge that says it has decided.
    if not any("unknown" in re.findall(r"\w+", r.lower()) for r in active().replies()):
        raise _unparseable("no reply says yes, no or unknown")
    _note()


def _math_vista(found: Mapping[str, Any], args: tuple[Any, ...]) -> None:
    line = args[1]
    if found["log"] == "Prefetch succeed" or line["question_type"] == "multi_choice":
        return
    if line["answer_type"] in {"integer", "float"} and not _is_number(found["res"]):
        _note()


def _mmvet(found: Mapping[str, Any], _args: tuple[Any, ...]) -> None:
    if found["log"].endswith("failed.\n") or not math.isfinite(found["score"]):
        raise _unparseable("no reply is a number from 0 to 1")


def _llava(found: list[float], _args: tuple[Any, ...]) -> None:
    if found == [-1, -1] or not all(map(math.isfinite, found)):
        raise _unparseable("the reply's first line is no two numbers")


def _mmdu(found: Mapping[str, Any], _args: tuple[Any, ...]) -> None:
    from vlmeval.dataset.image_mt import MMDUDataset  # noqa: PLC0415 - only behind the shim

    table = found["res"]
    for turn in range(len(table)):
        line = table.iloc[turn]
        if not all(
            name in line and _is_number(line[name]) for name in MMDUDataset.DIMS
        ):
            raise _unparseable(f"the reply about turn {turn + 1} lacks a score")


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
