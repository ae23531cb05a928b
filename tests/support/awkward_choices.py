"""Multiple choice in its plain shapes: one picture or several, official columns, pictures between words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from support.awkward_pictures import awkward_cell, small_cell
from support.awkward_rows import CHOICE_SAYINGS, AwkwardDataset, question, saying

_CATEGORIES = ("Scene Understanding", "Instance Counting", "Text & Signs")


def choice_cells(number: int) -> dict[str, object]:
    """Options, answer and hint that go wrong in one of five ways."""
    options = (
        {"A": "temple", "B": "flower", "C": "seven", "D": "None of these"},
        {"A": "None", "B": "NA", "C": 'a "quoted" option', "D": "4"},
        {"A": "007", "B": "1.50", "C": "", "D": ""},
        {"A": "=1+1", "B": "a, b\tand c", "C": "=x", "D": "nan"},
        {"A": "the temple", "B": "temple", "C": "No", "D": "yes"},
    )[number % 5]
    hint = ("", "It's 5\" wide", "None", "Hint with a tab\there", "")[number % 5]
    answer = "ABCD"[number % 4] if number % 5 != 2 else "AB"[number % 2]
    return {"hint": hint, **options, "answer": answer}


def seedbench(name: str, rows: int, *, split: bool = False) -> AwkwardDataset:
    """One picture a row, or a reference to an earlier row's."""
    columns = ("index", "image", "question", "hint", "A", "B", "C", "D", "answer")
    extra = ("category", "split") if split else ("category",)
    made = AwkwardDataset(name, columns + extra)
    for number in range(rows):
        picture = str(number - 3) if number % 11 == 9 else awkward_cell(number)
        cells = choice_cells(number) | {
            "image": picture,
            "category": _CATEGORIES[number % 3],
        }
        if split:
            cells["split"] = ("dev", "val")[number % 2]
        right = str(cells["answer"])
        made.add(question(number), saying(CHOICE_SAYINGS, number, right), **cells)
    return made


_OFFICIAL: Mapping[str, Callable[[int], dict[str, object]]] = {
    # Names whose columns or picture paths differ from the plain ones.
    "A-Bench_VAL": lambda n: {"category": f"part{n % 3 + 1} -> {_CATEGORIES[n % 3]}"},
    "AesBench_VAL": lambda n: {"category": ("AesA1", "AesE", "AesI")[n % 3]},
    "Q-Bench1_VAL": lambda n: {"category": n % 4, "image_path": f"in/{n}.jpg"},
    "AI2D_TEST": lambda n: {"image_path": f"{n:04d}.png", "abcLabel": n % 2 == 0},
    "ScienceQA_VAL": lambda n: {
        "category": ("biology", "us-history")[n % 2],
        "split": "val",
        "E": f"{n}.0",
    },
    "MMStar": lambda n: {
        "category": _CATEGORIES[n % 3],
        "l2_category": "coarse perception",
        "bench": ("MMMU", "None")[n % 2],
        "meta_info": "{'id': None, 'source': \"x\"}",
    },
    "SEEDBench2_Plus": lambda n: {"category": "Chart", "difficulty": f"00{n % 3}"},
    "TaskMeAnything_v1_imageqa_random": lambda n: {
        "task type": "2d",
        "category": n % 6,
    },
}
OFFICIAL_NAMES = tuple(_OFFICIAL)


def official(name: str, rows: int = 40) -> AwkwardDataset:
    """A name of the plain class with the columns its file has beside the usual ones."""
    more = _OFFICIAL[name](0)
    columns = ("index", "image", "question", "hint", "A", "B", "C", "D")
    options = tuple(sorted(more.keys() & {"E"}))
    rest = tuple(column for column in more if column not in options)
    made = AwkwardDataset(name, (*columns, *options, "answer", *rest))
    for number in range(rows):
        cells = choice_cells(number) | {"image": small_cell(number)}
        said = saying(CHOICE_SAYINGS, number, str(cells["answer"]))
        made.add(question(number), said, **cells, **_OFFICIAL[name](number))
    return made


def several(name: str, rows: int, *, big: bool = False) -> AwkwardDataset:
    """BLINK's way: the `image` cell is a list, with one, two or four pictures, or a reference."""
    columns = ("index", "image", "question", "A", "B", "C", "D", "answer", "category")
    made = AwkwardDataset(name, columns)
    shape = awkward_cell if big else small_cell
    for number in range(rows):
        cells = choice_cells(number)
        cells.pop("hint")
        count = (1, 2, 4, 1)[number % 4]
        pictures = [shape(number * 4 + each) for each in range(count)]
        picture = str(pictures) if number % 4 < 3 else pictures[0]
        if number % 13 == 9:
            picture = str(number - 3)
        cells |= {"image": picture, "category": f"Visual_{_CATEGORIES[number % 3]}"}
        said = saying(CHOICE_SAYINGS, number, str(cells["answer"]))
        made.add(question(number), said, **cells)
    return made


_MMMU_QUESTIONS = (
    "<image 1> What is shown?",
    "Compare <image 1> with <image 2>, then look at <image 1> again.",
    "Nothing here says where the pictures belong.",
    "Which of these follows from <image 1>?\n<image 2>",
)


def mmmu(name: str, rows: int, *, answers: bool) -> AwkwardDataset:
    """Pictures between the words, also in the options; open questions, whose options are empty."""
    options = tuple("ABCDEFGHI")
    columns = ("index", "id", "image", "question", *options)
    rest = ("answer", "category", "l2-category", "split")
    paths = () if answers else ("image_path",)
    made = AwkwardDataset(name, (*columns, *(rest if answers else rest[1:]), *paths))
    split = ("dev", "validation") if answers else ("test", "test")
    for number in range(rows):
        pictures = [awkward_cell(number * 2 + each) for each in range(2)]
        cells, right = _mmmu_choices(number)
        cells |= {
            "id": f"{split[number % 2]}_Accounting_{number}",
            "image": str(pictures),
            "category": ("Accounting", "Art Theory")[number % 2],
            "l2-category": ("Business", "Art & Design")[number % 2],
            "split": split[number % 2],
        }
        if answers:
            cells["answer"] = right
        else:
            cells["image_path"] = str([f"{number}_{each}.jpg" for each in range(2)])
        said = saying(CHOICE_SAYINGS, number, right)
        made.add(_MMMU_QUESTIONS[number % 4], said, **cells)
    return made


def _mmmu_choices(number: int) -> tuple[dict[str, object], str]:
    if number % 5 == 1:
        return {}, ("24.32", "007", "=1+1", "None", "$5.00", "temple")[number // 5 % 6]
    options = dict(
        zip("ABCDEFG", ("<image 2>", "None", "007", "=x", "e", "f", "4"), strict=True)
    )
    count = (4, 7, 2)[number % 3]
    return dict(list(options.items())[:count]), "ABCDEFG"[number % count]


def unanswered(name: str, rows: int = 40) -> AwkwardDataset:
    """A test split: its file has no `answer`."""
    columns = ("index", "image", "question", "hint", "A", "B", "C", "D", "category")
    made = AwkwardDataset(name, columns)
    for number in range(rows):
        cells = choice_cells(number) | {"image": small_cell(number), "category": "x"}
        said = saying(CHOICE_SAYINGS, number, str(cells.pop("answer")))
        made.add(question(number), said, **cells)
    return made
