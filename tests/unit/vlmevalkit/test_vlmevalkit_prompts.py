"""Prompts and pictures are, byte for byte, those of upstream's dataset classes and CustomAPIModel."""

from __future__ import annotations

import base64
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

import support.upstream_prompts
from support.odd_pictures import odd_pictures

SCRIPT = support.upstream_prompts.__file__
WHOLE = {"img_size": -1, "max_file_size": 1_000_000_000}


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)


def _row(number: int, data: bytes | list[bytes], **more: str) -> dict[str, str]:
    texts = [
        base64.b64encode(each).decode()
        for each in ([data] if isinstance(data, bytes) else data)
    ]
    cell = texts[0] if isinstance(data, bytes) else repr(texts)
    options = {
        "A": "red",
        "B": "None",
        "C": "07",
        "D": "n/a",
        "hint": "",
        "answer": "A",
    }
    return {
        "index": str(number),
        "image": cell,
        "question": f"What is {number}?",
        **options,
    } | more


def _run(folder: Path, jobs: list[dict[str, object]]) -> list[dict[str, list]]:
    (folder / "jobs.json").write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, SCRIPT, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [
        json.loads(line)
        for line in done.stdout.splitlines()
        if line.startswith('{"ours"')
    ]


EXTENSIONS = (".png", ".jpg", ".JPEG", ".webp", ".gif", ".bmp", ".tiff", ".odd")
POLICIES = {
    "as they are": WHOLE,
    "img_size 64": WHOLE | {"img_size": 64},
    "img_size 500": WHOLE | {"img_size": 500},
    "max_file_size": WHOLE | {"max_file_size": 20_000},
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Every picture under every policy, by upstream and by us: one process for all."""
    folder = tmp_path_factory.mktemp("pictures")
    names, pictures = list(odd_pictures()), list(odd_pictures().values())
    _write(folder / "plain.tsv", [_row(n, data) for n, data in enumerate(pictures)])
    some = [pictures[n] for n in (0, 1, 2, 19, 21, 26)]
    _write(
        folder / "named.tsv",
        [
            _row(n * 10 + m, data, image_path=f"deep/{n}-{m}{extension}")
            for n, data in enumerate(some)
            for m, extension in enumerate(EXTENSIONS)
        ],
    )
    jobs = [
        {"name": "Mine", "table": "plain.tsv", "policy": p, "localize": False}
        for p in POLICIES.values()
    ]
    jobs.append(
        {"name": "Mine", "table": "named.tsv", "policy": WHOLE, "localize": False}
    )
    sendable = [
        n for n, name in enumerate(names) if name.split()[0] not in {"cut", "no", "web"}
    ]
    sendable = [
        n
        for n in sendable
        if names[n] not in {"deep grey", "integers", "floats", "too wide"}
    ]
    _write(folder / "large.tsv", [_row(n, pictures[n]) for n in sendable])
    jobs.append(
        {"name": "Mine", "table": "large.tsv", "policy": WHOLE, "localize": True}
    )
    return dict(zip([*POLICIES, "named", "localized"], _run(folder, jobs), strict=True))


@pytest.mark.parametrize("policy", POLICIES)
def test_every_picture_is_upstreams_bytes_or_has_a_reason_where_upstream_fails(
    outcomes, policy
):
    compared = _compared(outcomes[policy])
    assert [
        name for name, equal in zip(odd_pictures(), compared, strict=True) if not equal
    ] == []


def test_pictures_with_a_file_name_go_through_that_format_as_upstream(outcomes):
    compared = _compared(outcomes["named"])
    assert [True] * 6 * len(EXTENSIONS) == compared


def test_pictures_of_very_large_files_are_encoded_twice_as_upstream(outcomes):
    compared = _compared(outcomes["localized"])
    assert len(compared) > 30
    assert all(compared)


def test_the_double_encoding_is_visible_in_the_bytes(outcomes):
    once = outcomes["as they are"]["ours"][0][1]
    twice = outcomes["localized"]["ours"][0][1]
    assert once != twice


def test_what_cannot_be_sent_says_why_in_words(outcomes):
    reasons = [
        parts for _, parts in outcomes["as they are"]["ours"] if isinstance(parts, str)
    ]
    assert len(reasons) >= 8
    assert all(reason.startswith(("the picture cannot be decoded: ", "VLMEvalKit cannot send"))
               for reason in reasons)  # fmt: skip
    assert not any("0x" in reason for reason in reasons)


def _tables(picture: bytes, other: bytes) -> dict[str, list[dict[str, str]]]:
    """One table per class of upstream's, with what is special to it."""
    both = [picture, other]
    yes_no = {"category": "adversarial", "image_path": "COCO_1.jpg", "answer": "Yes"}
    group = {"l2-category": "chart", "category": "VS", "answer": "No"}
    return {
        "ScienceQA_TEST": [
            _row(7, picture, hint="It is old.\nVery old.", A="NA", B="1.50"),
            _row(3, both, hint="", question="null", C=""),
            _row(5, picture) | {"image": "7", "D": "=1"},
        ],
        "POPE": [
            _row(0, picture, **yes_no) | {"index": "a_1"},
            _row(1, other, **yes_no) | {"index": "b_2"},
            _row(2, picture, **yes_no) | {"index": "c", "image": "a_1"},
        ],
        "HallusionBench": [
            _row(0, picture, **group) | {"index": "VS_chart_0_1_0"},
            _row(1, picture, **group) | {"index": "VD_chart_0_0_0", "image": ""},
            _row(2, both, **group) | {"index": "VS_chart_0_2_0"},
        ],
        "ChartQA_TEST": [
            _row(1, picture, question="  How many? ", answer="007"),
            _row(2, both, question="Où? 'là' \"ici\"\tou\nlà", answer="['a', 'b']"),
        ],
        "BLINK": [_row(0, [picture]), _row(1, [picture, other, picture])],
    }


def _more_tables(
    picture: bytes, other: bytes, noted: bytes
) -> dict[str, list[dict[str, str]]]:
    """Tables of the classes that ask in a way of their own."""
    three = [picture, other, noted]
    kinds = {"category": "a", "l2-category": "b"}
    return {
        "MMBench_DEV_EN": [
            _row(n, each, hint="nan" if n else "old") | {"index": str(n + turn * 10**6)}
            for turn in range(2)
            for n, each in enumerate(three)
        ],
        "MMMU_DEV_VAL": [
            _row(0, three, question="<image 2> or <image 1>?", B="<image 3>", C=""),
            _row(1, picture, question="no mark", A="", B="", C="", D=""),
            _row(2, [other], question="a <image 1>\nb <image 1>"),
        ],
        "MMT-Bench_VAL_MI": [
            _row(0, three, **kinds) | {"index": "9"},
            _row(1, [noted], **kinds),
        ],
        "OCRBench": [_row(0, picture, category="x", question="What is\n it? ")],
        "MTVQA_TEST": [_row(0, picture, category="AR", question="ما هذا؟")],
        "COCO_VAL": [
            {"index": "4", "image": _row(0, picture)["image"], "answer": "[]"}
        ],
        "GMAI-MMBench_VAL": [
            _row(0, noted)
            | {"clinical vqa task": "x", "department": "y"}
            | {"perceptual granularity": "z"}
        ],
        "DocVQA_TEST": [
            {key: cell for key, cell in _row(1, picture).items() if key != "answer"}
        ],
        "MMMU_TEST": [_row(0, three, question="<image 1>", id="test_1", answer="")],
        "AesBench_TEST": [
            _row(3, three)
            | {"image_path": "['a/1.jpg', 'a/2.jpg', 'a/3.png']", "answer": ""}
        ],
    }


def _collections(
    picture: bytes, other: bytes, noted: bytes
) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Members with pictures of every kind, one with references, one with lists, one with paths."""
    plain = [_row(n * 7, each) for n, each in enumerate((picture, other, noted))]
    members = {
        "ar": plain,
        "cn": [*plain[:2], _row(3, noted) | {"image": "7"}],
        "en": [_row(5, [picture, noted]), _row(4, [other])],
        "pt": [_row(1, noted, image_path="deep/1.png"), _row(2, noted, image_path="2.bmp")],
        "ru": [_row(8, noted, hint="once", question="Где?")],
        "tr": list(reversed(plain)),
    }  # fmt: skip
    return {
        "MMMB": {f"MMMB_{word}": rows for word, rows in members.items()},
        "MTL_MMBench_DEV": {
            f"MMBench_dev_{word}": rows
            for word, rows in (members | {"pt": plain}).items()
        },
    }


LARGE = ("BLINK", "MMMU_DEV_VAL", "GMAI-MMBench_VAL", "MTL_MMBench_DEV")
"""Asked also as files above 1 GiB, whose pictures upstream writes as JPEG before anything else. Where
such a file has a column `image_path`, upstream does not find what it wrote."""


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Every table by upstream and by us."""
    folder = tmp_path_factory.mktemp("families")
    odd = odd_pictures()
    three = odd["8 px palette"], odd["jpeg noted"], odd["rgba"]
    tables = _tables(*three[:2]) | _more_tables(*three)
    collections = _collections(*three)
    for name, rows in tables.items():
        _write(folder / f"{name}.tsv", rows)
    for name, rows in (pair for m in collections.values() for pair in m.items()):
        _write(folder / f"{name}.tsv", rows)
    named = {name: f"{name}.tsv" for name in tables} | {
        name: {member: f"{member}.tsv" for member in members}
        for name, members in collections.items()
    }
    jobs = [
        {"name": name, "table": table, "policy": WHOLE, "localize": False}
        for name, table in named.items()
    ]
    jobs += [
        {"name": name, "table": named[name], "policy": WHOLE, "localize": True}
        for name in LARGE
    ]
    keys = [*named, *(f"large {name}" for name in LARGE)]
    return dict(zip(keys, _run(folder, jobs), strict=True))


@pytest.mark.parametrize(
    "name",
    [
        *("ScienceQA_TEST", "POPE", "HallusionBench", "ChartQA_TEST", "BLINK"),
        *("MMBench_DEV_EN", "MMMU_DEV_VAL", "MMT-Bench_VAL_MI", "OCRBench"),
        *("MTVQA_TEST", "COCO_VAL", "GMAI-MMBench_VAL", "DocVQA_TEST"),
        *("MMMU_TEST", "AesBench_TEST", "MMMB", "MTL_MMBench_DEV"),
        *(f"large {name}" for name in LARGE),
    ],
)
def test_every_class_is_asked_as_upstream_asks_in_its_row_order(families, name):
    sent = [
        [sample_id, [part for part in parts if part != ""]]
        for sample_id, parts in families[name]["ours"]
    ]
    assert sent == families[name]["theirs"]


def test_a_collection_numbers_its_members_rows_anew(families):
    ids = [sample_id for sample_id, _ in families["MMMB"]["ours"]]
    assert ids == [str(number) for number in range(14)]


def test_a_picture_of_a_collection_is_encoded_twice(families):
    alone = families["MMBench_DEV_EN"]["ours"][0][1][0]
    member = families["MTL_MMBench_DEV"]["ours"][0][1][0]
    assert alone != member


def test_rows_without_a_picture_are_left_out_as_upstream_does(families):
    ids = [sample_id for sample_id, _ in families["HallusionBench"]["ours"]]
    assert ids == ["VS_chart_0_1_0", "VS_chart_0_2_0"]


def _compared(outcome):
    """Per row: the same id, and the same parts, or a reason on both sides."""
    pairs = zip(outcome["ours"], outcome["theirs"], strict=True)
    return [
        ours[0] == theirs[0]
        and (
            ours[1] == theirs[1]
            or (isinstance(ours[1], str) and isinstance(theirs[1], str))
        )
        for ours, theirs in pairs
    ]
