"""A table and predictions for every family that a judge decides; the tests' only list."""

from __future__ import annotations

import json
from dataclasses import dataclass

from support import scoring
from support.scoring_runs import MMT_KINDS, TABLES, circular, gmai, mmmu, mmt

_VAGUE = ("I would say the {}th thing", "It could be many things, see {}", "thing {}")
Columns = dict[str, list[object]]


@dataclass(frozen=True)
class JudgedTable:
    """What is scored.

    Attributes:
        what: the family.
        columns: the dataset's table.
        answers: predictions, many of which only a judge can read.
    """

    what: str
    columns: Columns
    answers: list[str]


def vague(right, every: int = 3) -> list[str]:
    """The right answers, but for every so many one that says nothing by itself."""
    return [
        _VAGUE[i % len(_VAGUE)].format(i) if i % every == 0 else str(answer)
        for i, answer in enumerate(right)
    ]


def _choice(what: str, columns: Columns, members: int = 1) -> JudgedTable:
    return JudgedTable(what, columns, vague(columns["answer"] * members))


def _chinese(count: int) -> Columns:
    return scoring.multiple_choice(count) | {
        "question": [f"图中是什么 {i}" for i in range(count)]
    }


def math_vista(count: int) -> Columns:
    kinds = ("integer", "float", "text", "text")
    choice = [i % 4 == 3 for i in range(count)]
    return {
        "index": list(range(count)),
        "question": [f"How many are there, {i}?" for i in range(count)],
        "answer": [str((i, i / 2, "red", "red")[i % 4]) for i in range(count)],
        "answer_option": ["A" if each else "" for each in choice],
        "question_type": ["multi_choice" if c else "free_form" for c in choice],
        "answer_type": [kinds[i % 4] for i in range(count)],
        "choices": [str(["red", "blue"]) if each else "" for each in choice],
        "task": [
            ("figure question answering", "math word")[i % 2] for i in range(count)
        ],
        "skills": [
            str([("algebraic reasoning", "statistical reasoning")[i % 2], "arithmetic"])
            for i in range(count)
        ],
        "category": ["general-vqa"] * count,
        "image": [scoring.PICTURE] * count,
    }


_EXPRESSIONS = ("12", "0.5", r"\frac{1}{2}", "3*4", r"\sqrt{2}", "B")


def math_vision(count: int) -> Columns:
    return {
        "index": list(range(count)),
        "question": [f"What is x, {i}?" for i in range(count)],
        "answer": [_EXPRESSIONS[i % 6] for i in range(count)],
        "choices": [str(["1", "2", "3"]) if i % 6 == 5 else "[]" for i in range(count)],
        "category": [("algebra", "graph theory")[i % 2] for i in range(count)],
        "image": [scoring.PICTURE] * count,
    }


_MATH_ANSWERS = ("12.0", r"\frac{1}{2}", "1/2", "twelve", "B", "it is 2**0.5, or 1.41")


def mm_vet(count: int) -> Columns:
    kinds = ("rec,ocr", "know,gen", "spat,math", "rec", "ocr,spat,math")
    return {
        "index": [f"v1_{i}" for i in range(count)],
        "question": [f"What is it, {i}?" for i in range(count)],
        "answer": [f"one<AND>{i}<OR>two" for i in range(count)],
        "category": [kinds[i % len(kinds)] for i in range(count)],
        "image": [scoring.PICTURE] * count,
    }


def llava(count: int) -> Columns:
    return {
        "index": list(range(count)),
        "question": [f"Describe it, {i}." for i in range(count)],
        "caption": [f"A street with {i} cars." for i in range(count)],
        "gpt4_ans": [f"There are {i} cars." for i in range(count)],
        "category": [("conv", "detail", "complex")[i % 3] for i in range(count)],
        "image": [scoring.PICTURE] * count,
    }


def mmdu(count: int) -> Columns:
    return {
        "index": list(range(count)),
        "question": [str([f"What, {i}?", "And then?"]) for i in range(count)],
        "answer": [str([f"A {i}.", "Nothing."]) for i in range(count)],
        "image": [str([scoring.PICTURE, scoring.PICTURE])] * count,
    }


def _free(what: str, columns: Columns, answers) -> JudgedTable:
    count = len(columns["index"])
    return JudgedTable(what, columns, [answers[i % len(answers)] for i in range(count)])


_PROSE = ("It is two.", "One and 3", "I cannot tell", "There are 7 cars, 'red' ones")
_TALK = tuple(json.dumps([f'It\'s "{word}".', "No more."]) for word in ("a", "b", "c"))

JUDGED = {
    "MMStar": _choice("multiple choice", scoring.multiple_choice(24)),
    "Courtyard": _choice("custom multiple choice", scoring.multiple_choice(12)),
    "SEEDBench_IMG": _choice("multiple choice, Chinese prompt", _chinese(12)),
    "BLINK": _choice("multiple choice, its own prompt", scoring.multiple_choice(24)),
    "MMMU_DEV_VAL": _choice("multiple choice, open questions", mmmu(24)),
    "GMAI-MMBench_VAL": _choice("multiple choice, four tables", gmai(24)),
    "MMT-Bench_VAL": _choice("macro averages", mmt(MMT_KINDS, 2)),
    "MMBench_DEV_EN": _choice("rotated", circular(10)),
    "CCBench": _choice("rotated", circular(10)),
    "MMMB": _choice("collection", TABLES["MMMB"], 6),
    "MTL_MMBench_DEV": _choice("collection, rotated", TABLES["MTL_MMBench_DEV"], 6),
    "POPE": _choice("yes/no", scoring.pope(24)),
    "MME": _choice("yes/no pairs", scoring.mme(24)),
    "HallusionBench": _choice("yes/no groups", scoring.hallusion(40)),
    "MathVista_MINI": _free("extraction", math_vista(24), ("7", "1.5 or so", *_PROSE)),
    "MathVision": _free("extraction, expressions", math_vision(24), _MATH_ANSWERS),
    "MathVision_MINI": _free("extraction, expressions", math_vision(6), _PROSE),
    "MMVet": _free("grades", mm_vet(20), _PROSE),
    "LLaVABench": _free("ratings", llava(12), _PROSE),
    "MMDU": _free("conversations", mmdu(6), _TALK),
}
