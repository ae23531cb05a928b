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
    # Last: it changes upstream for the rest of the process.
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


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Every table by upstream and by us."""
    folder = tmp_path_factory.mktemp("families")
    tables = _tables(odd_pictures()["8 px palette"], odd_pictures()["jpeg noted"])
    for name, rows in tables.items():
        _write(folder / f"{name}.tsv", rows)
    jobs = [
        {"name": name, "table": f"{name}.tsv", "policy": WHOLE, "localize": False}
        for name in tables
    ]
    return dict(zip(tables, _run(folder, jobs), strict=True))


@pytest.mark.parametrize(
    "name", ["ScienceQA_TEST", "POPE", "HallusionBench", "ChartQA_TEST", "BLINK"]
)
def test_every_class_is_asked_as_upstream_asks_in_its_row_order(families, name):
    assert families[name]["ours"] == families[name]["theirs"]


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
