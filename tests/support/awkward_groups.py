"""Choices that are scored in groups: rotated questions, collections, and averages over kinds of task."""

from __future__ import annotations

from support.awkward_pictures import awkward_cell, small_cell
from support.awkward_rows import CHOICE_SAYINGS, AwkwardDataset, question, saying

STEP = 1_000_000
"""Upstream numbers the rotations of question n: n, n + 1,000,000, ..."""

_L2 = (
    "coarse_perception",
    "finegrained_perception (instance-level)",
    "finegrained_perception (cross-instance)",
    "attribute_reasoning",
)
_OPTIONS = (
    ("temple", "flower", "seven", "None of these"),
    ("007", "1.50"),
    ("None", "NA", 'a "quoted" option'),
    ("=1+1", "a, b\tand c", "=x", "nan"),
    ("2", "3.0", "1e3", "4"),
)


def circular(
    name: str, rows: int, *, first: int = 0, by_turn: bool = False, big: bool = False
) -> AwkwardDataset:
    """Every question with its options rotated; the rotations refer to the first one's picture.

    Args:
        name: of the dataset.
        rows: how many rows, all rotations together; the last question may have fewer than options.
        first: the first `index`.
        by_turn: all first rotations, then all second ones; else question by question.
        big: also pictures of more than 1000 pixels.
    """
    columns = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category")
    made = AwkwardDataset(name, (*columns, "image", "source", "l2-category", "split"))
    shift, planned = _shift(name), []
    for number in range(rows):
        turns = len(_OPTIONS[number % len(_OPTIONS)])
        planned += [(number, turn) for turn in range(turns)]
        if len(planned) >= rows:
            break
    planned = planned[:rows]
    if by_turn:
        planned.sort(key=lambda place: place[1])
    shape = awkward_cell if big else small_cell
    for number, turn in planned:
        index = first + number
        cells = _rotated(number, turn) | {
            "image": str(index) if turn else shape(number),
            "category": ("object_localization", "ocr", "image_style")[number % 3],
            "l2-category": _L2[number % 4],
            "source": ("reasonseg", "007", "")[number % 3],
            "split": "dev",
        }
        said = _said(number + shift, turn, str(cells["answer"]))
        made.add(question(number), said, **cells)
        made.rows[-1]["index"] = index + turn * STEP
    return made


def _shift(name: str) -> int:
    """Members of a collection must not be answered alike: their figures could be confused."""
    return sum(map(ord, name)) % 7


def _rotated(number: int, turn: int) -> dict[str, object]:
    options = _OPTIONS[number % len(_OPTIONS)]
    turned = options[turn:] + options[:turn]
    right = (number - turn) % len(options)
    hint = ("", "It's 5\" wide", "None")[number % 3]
    return {"hint": hint, "answer": "ABCD"[right]} | dict(
        zip("ABCD", turned, strict=False)
    )


def _said(number: int, turn: int, right: str) -> str:
    """A third of the questions right throughout, a third wrong in one rotation, a third at random."""
    if number % 3 == 0:
        return f"{right}."
    if number % 3 == 1:
        return saying(CHOICE_SAYINGS, 3 * number + 2, right) if turn == 1 else right
    return saying(CHOICE_SAYINGS, number + turn, right)


def without_answers(made: AwkwardDataset) -> AwkwardDataset:
    """The same table as a test split has it."""
    columns = tuple(column for column in made.columns if column != "answer")
    for row in made.rows:
        row.pop("answer")
    return AwkwardDataset(made.name, columns, made.rows, made.replies)


def mmmb(name: str, rows: int, *, big: bool = False) -> AwkwardDataset:
    """One language of MMMB: not rotated, no picture paths, so that its collection names the files."""
    columns = ("index", "question", "hint", "A", "B", "C", "D", "answer", "category")
    made = AwkwardDataset(name, (*columns, "image", "split"))
    shape, shift = awkward_cell if big else small_cell, _shift(name)
    for number in range(rows):
        cells = _rotated(number, number % 2)
        picture = str(number - 2) if number % 9 == 8 else shape(number)
        said = saying(CHOICE_SAYINGS, number + shift, str(cells["answer"]))
        cells |= {
            "image": picture,
            "category": ("object", "scene")[number % 2],
            "split": "dev",
        }
        made.add(question(number), said, **cells)
    return made


MMT_KINDS = (
    "visual_recognition", "localization", "ocr", "counting", "hallucination", "image_retrieval",
    "threed", "visual_captioning", "visual_grounding", "doc_understanding", "action_recognition",
    "pixel_level_perception", "image-to-image_translation", "relation_reasoning",
    "intelligence_quotient_test", "emotion", "visual_illusion", "meme_understanding",
    "visual_prompt_understanding", "anomaly_detection", "keypoint_detection",
    "visual_commonsense_reasoning", "image_evaluation_judgement", "multiple_image_analysis",
    "cross_image_matching", "temporal_understanding", "visual_code", "medical_understanding",
    "autonomous_driving", "discipline_knowledge_reasoning", "embodied_ai", "gui_navigation",
)  # fmt: skip
"""All 32: upstream's table cannot be made without one of them."""


def mmt(
    name: str,
    rows: int,
    *,
    answers: bool = True,
    several: bool = False,
    splits: tuple[str, ...] = (),
) -> AwkwardDataset:
    """Two categories of unequal size in each kind, so that the macro average is not the plain one."""
    columns = ("index", "question", "image", "A", "B", "C", "D", "E")
    rest = (*(("answer",) if answers else ()), "category", "l2-category", "visual")
    made = AwkwardDataset(name, (*columns, *rest, *(("split",) if splits else ())))
    for number in range(rows):
        kind = MMT_KINDS[number % len(MMT_KINDS)]
        round_ = number // len(MMT_KINDS)
        cells = _rotated(number, round_ % 2)
        right = str(cells.pop("answer"))
        cells.pop("hint")
        pictures = [small_cell(number + each) for each in range(1 + number % 2)]
        cells |= {
            "image": str(pictures) if several and number % 2 else pictures[0],
            "category": f"{kind}_{'b' if round_ == 1 else 'a'}",
            "l2-category": kind,
            "visual": ("natural", "None", "007")[number % 3],
        }
        if answers:
            cells["answer"] = right
        if splits:
            cells["split"] = splits[round_ % len(splits)]
        said = saying(CHOICE_SAYINGS, number + round_, right)
        made.add(question(number), said, **cells)
    return made


def gmai(name: str, rows: int) -> AwkwardDataset:
    """Three more groupings, each a table of its own; one department is called None."""
    groups = ("clinical vqa task", "department", "perceptual granularity")
    columns = ("index", "image", "question", "A", "B", "C", "D", "answer", "category")
    made = AwkwardDataset(name, (*columns, "l2-category", "split", *groups))
    for number in range(rows):
        cells = _rotated(number, 0)
        cells.pop("hint")
        cells |= {
            "image": small_cell(number),
            "category": ("AR", "BVR")[number % 2],
            "l2-category": ("Cell", "X/Y")[number % 2],
            "split": "val",
            "clinical vqa task": ("Disease Diagnosis", "Counting")[number % 2],
            "department": ("Cardiology", "None", "Eyes, Ears")[number % 3],
            "perceptual granularity": ("image", "box", "mask")[number % 3],
        }
        said = saying(CHOICE_SAYINGS, number, str(cells["answer"]))
        made.add(question(number), said, **cells)
    return made
