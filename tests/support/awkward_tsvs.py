"""Official-format TSVs full of what goes wrong, with what a model will say to each row.

The parity tests call `awkward_tables(name)`. A collection has no file of its own, but its members' files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from support import awkward_choices as choices
from support import awkward_groups as groups
from support import awkward_words as words
from support.awkward_pictures import unsendable_cell
from support.awkward_rows import AwkwardDataset
from support.parity_endpoint import Reply

_LANGUAGES = ("ar", "cn", "en", "pt", "ru", "tr")
COLLECTIONS: Mapping[str, tuple[str, ...]] = {
    "MMMB": tuple(f"MMMB_{language}" for language in _LANGUAGES),
    "MTL_MMBench_DEV": tuple(f"MMBench_dev_{language}" for language in _LANGUAGES),
}

_TEST_EN = 500_000
"""MMBench's splits share a folder of pictures, and no `index`."""

_FACTORIES: dict[str, Callable[[], AwkwardDataset]] = {
    "SEEDBench_IMG": lambda: choices.seedbench("SEEDBench_IMG", 110),
    "RealWorldQA": lambda: choices.seedbench("RealWorldQA", 40),
    "Courtyard": lambda: choices.seedbench("Courtyard", 60, split=True),
    "BLINK": lambda: choices.several("BLINK", 60, big=True),
    "MMMU_DEV_VAL": lambda: choices.mmmu("MMMU_DEV_VAL", 60, answers=True),
    "MMMU_TEST": lambda: choices.mmmu("MMMU_TEST", 40, answers=False),
    "A-Bench_TEST": lambda: choices.unanswered("A-Bench_TEST"),
    "MLLMGuard_DS": lambda: choices.unanswered("MLLMGuard_DS"),
    "MMBench_DEV_EN": lambda: groups.circular(
        "MMBench_DEV_EN", 100, by_turn=True, big=True
    ),
    "MMBench_DEV_CN_V11": lambda: groups.circular("MMBench_DEV_CN_V11", 80),
    "CCBench": lambda: groups.circular("CCBench", 60, first=7),
    "MMBench_TEST_EN": lambda: groups.without_answers(
        groups.circular("MMBench_TEST_EN", 40, first=_TEST_EN)
    ),
    "MMT-Bench_VAL": lambda: groups.mmt("MMT-Bench_VAL", 100),
    "MMT-Bench_VAL_MI": lambda: groups.mmt(
        "MMT-Bench_VAL_MI", 96, several=True, splits=("VAL",)
    ),
    "MMT-Bench_ALL": lambda: groups.mmt(
        "MMT-Bench_ALL", 64, answers=False, splits=("TEST", "VAL")
    ),
    "GMAI-MMBench_VAL": lambda: groups.gmai("GMAI-MMBench_VAL", 48),
    "POPE": lambda: words.pope(90),
    "MME": lambda: words.mme(36),
    "HallusionBench": lambda: words.hallusion(48),
    "ChartQA_TEST": lambda: words.chartqa(60),
    "TextVQA_VAL": lambda: words.listed("TextVQA_VAL", 60),
    "DocVQA_VAL": lambda: words.listed("DocVQA_VAL", 50),
    "InfoVQA_VAL": lambda: words.listed("InfoVQA_VAL", 40),
    "OCRVQA_TEST": lambda: words.paged("OCRVQA_TEST"),
    "OCRVQA_TESTCORE": lambda: words.retyped(40),
    "DocVQA_TEST": lambda: words.paged("DocVQA_TEST", answers=False),
    "OCRBench": lambda: words.ocrbench(60),
    "MTVQA_TEST": lambda: words.mtvqa(54),
    "COCO_VAL": lambda: words.coco(40),
}
_FACTORIES |= {name: partial(choices.official, name) for name in choices.OFFICIAL_NAMES}
_FACTORIES |= {
    name: partial(groups.mmmb, name, 40, big=name.endswith("_ar"))
    for name in COLLECTIONS["MMMB"]
}
_FACTORIES |= {
    name: partial(groups.circular, name, 40, big=name.endswith("_cn"))
    for name in COLLECTIONS["MTL_MMBench_DEV"]
}


def awkward_tables(name: str) -> list[AwkwardDataset]:
    """The files of a dataset by its name: one, or those of a collection's members."""
    return [awkward_dataset(part) for part in COLLECTIONS.get(name, (name,))]


def awkward_dataset(name: str) -> AwkwardDataset:
    """One of the datasets by its name."""
    return _FACTORIES[name]()


def with_failures(tables: Sequence[AwkwardDataset]) -> dict[str, str]:
    """Makes some requests fail for ever; returns the reason Assay must give, by sample id."""
    reasons: dict[str, str] = {}
    before = 0
    for made in tables:
        # A collection numbers its rows anew, and a picture that it cannot write as JPEG ends it; where
        # rows share a file, the picture of the first stays.
        whole = len(tables) == 1
        found = _fail(made, pictures=whole and "image_path" not in made.columns)
        for place, (tag, row) in enumerate(zip(made.replies, made.rows, strict=True)):
            if tag in found:
                sample_id = row["index"] if whole else before + place
                reasons[str(sample_id)] = found[tag]
        before += len(made.rows)
    return reasons


def _fail(made: AwkwardDataset, *, pictures: bool) -> dict[str, str]:
    reasons: dict[str, str] = {}
    tags = list(made.replies)
    for position, tag in enumerate(tags[4::9]):
        kind = position % (4 if pictures else 3)
        if tag in reasons:
            continue
        if kind == 0:
            made.replies[tag] = Reply(status=500)
            reasons[tag] = "server_error"
        elif kind == 1:
            made.replies[tag] = Reply(status=400)
            reasons[tag] = "request_rejected"
        elif kind == 2:
            made.replies[tag] = Reply(text="")
            reasons[tag] = "empty_answer"
        else:
            shown = made.rows[tags.index(tag)]
            shown["image"] = _spoilt(str(shown["image"]), unsendable_cell(position))
            for other, row in zip(tags, made.rows, strict=True):
                if row is shown or row["image"] == str(shown["index"]):
                    reasons[other] = "picture_invalid"
    return reasons


def _spoilt(cell: str, picture: str) -> str:
    """The cell with `picture` as its first."""
    if not cell.startswith("["):
        return picture
    return str([picture, *ast.literal_eval(cell)[1:]])
