# ruff: noqa: E501 - a row of the table is a line
"""Every fault a file server is known for, and what becomes of the download: printed as a table.

The server is real and local; only its clockless misbehaviour is made up. A file of seven ranges is
fetched over three connections.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from assay.dataset.sources.fetch import SourceFetcher
from assay.dataset.sources.limits import Patience
from assay.dataset.sources.resolve import Expected, HttpAddress
from assay.domain.errors import AssayError
from assay.store.folder import FolderStore
from support.faulty_server import faulty_server

PIECE = 16 * 1024
CONTENT = b"index\timage\n" + random.Random(1).randbytes(6 * PIECE + 4321)
OTHER = b"index\timage\n" + random.Random(2).randbytes(6 * PIECE + 4321)
WHOLE = len(CONTENT)
PATIENCE = Patience(
    connect=2.0,
    stall=2.0,
    total=60.0,
    attempts=3,
    pause=0.01,
    longest_pause=0.02,
    connections=3,
    piece=PIECE,
)


@dataclass(frozen=True)
class Case:
    """What is injected, and what must come of it.

    Attributes:
        outcome: `whole`, `whole (new)`, or the reason and a word of the refusal.
        most: bytes that may at most have been sent.
        attempts: requests that may at most have been made.
    """

    injected: str
    faults: tuple[str, ...] = ()
    server: dict[str, Any] = field(default_factory=dict)
    outcome: str = "whole"
    most: int = WHOLE
    attempts: int = 7
    expected: bytes | None = None


def once_more(*faults: str) -> dict[str, Any]:
    return {"faults": faults, "attempts": 7 + len(faults)}


GONE = "DATASET_UNUSABLE: answered "
AWAY = "SOURCE_UNAVAILABLE: "
CASES = [
    Case("nothing"),
    Case("the first answer cut after 5000 bytes", **once_more("cut:5000")),
    Case(
        "the third and fourth answer cut", **once_more("", "", "cut:100", "cut:16000")
    ),
    Case("cut before the first byte, twice", **once_more("cut:0", "cut:0")),
    Case("silence after 700 bytes, thrice", **once_more(*["stall:700"] * 3)),
    Case("connections closed unanswered, twice", **once_more("refuse", "refuse")),
    Case("429 with Retry-After, once", server={"retry_after": "3600"}, **once_more("", "status:429")),
    Case("500 at the start, twice", **once_more("status:500", "status:500")),
    Case("at most one connection at a time", server={"most": 1}, attempts=12),
    Case("no ranges", server={"ranges": False}, attempts=1),
    Case("no ranges, cut once", ("cut:9000",), {"ranges": False}, most=WHOLE + 9000, attempts=2),
    Case("no ranges any more after the first", ("", "no-range"), most=4 * WHOLE, attempts=6),
    Case("another range than asked for, once", most=2 * WHOLE, **once_more("", "elsewhere")),
    Case("ranges, but no word of the version", server={"etag": "", "modified": ""}, most=WHOLE + PIECE, attempts=2),
    Case("a weak ETag and no date", server={"etag": 'W/"1"', "modified": ""}, most=WHOLE + PIECE, attempts=2),
    Case("a weak ETag, but a date", server={"etag": 'W/"1"'}),
    Case("chunkless and without a length, proven by md5", server={"ranges": False, "told": False}, attempts=1, expected=CONTENT),
    Case("the same, with nothing to prove it", server={"ranges": False, "told": False}, outcome="DATASET_UNUSABLE: does not say how long", attempts=1),
    Case("the file changes after two ranges", ("", "", "change"), {"other": OTHER}, "whole (new)", most=5 * WHOLE, attempts=14),
    Case("the same, If-Range not understood", ("", "", "change"), {"other": OTHER, "conditions": False}, "whole (new)", most=5 * WHOLE, attempts=14),
    Case("a length 9 bytes too long", server={"ranges": False, "announce": WHOLE + 9}, outcome=AWAY + "attempts in a row", most=3 * WHOLE, attempts=3),
    Case("a length 9 bytes too short", server={"ranges": False, "announce": WHOLE - 9}, outcome=AWAY + "no proper HTTP", most=3 * WHOLE, attempts=3),
    Case("ranges of a file 9 bytes longer than it is", server={"announce": WHOLE + 9}, outcome=AWAY + "attempts in a row", most=3 * WHOLE, attempts=30),
    Case("wrong bytes", server={"content": OTHER}, outcome="DIGEST_MISMATCH: md5", expected=CONTENT),
    Case("one bit of the last range flipped", ("", "", "", "", "", "", "flip"), outcome="DIGEST_MISMATCH: md5", expected=CONTENT),
    *(Case(f"{code} always", server={"always": f"status:{code}"}, outcome=f"{GONE}{code}", most=0, attempts=1) for code in (401, 403, 404, 410)),
    *(Case(f"{code} always", server={"always": f"status:{code}"}, outcome=f"{AWAY}answered {code}", most=0, attempts=3) for code in (429, 500, 503)),
    Case("cut every time, nothing sent", server={"always": "cut:0"}, outcome=AWAY + "cut", most=0, attempts=3),
    Case("a redirect to itself", server={"always": "redirect"}, outcome="DATASET_UNUSABLE: circle", most=0, attempts=11),
    Case("a web page, said so", server={"content": b"<p>", "content_type": "text/html"}, outcome="DATASET_UNUSABLE: web page", attempts=1),
    Case("a web page, called a file", server={"always": "page"}, outcome="DATASET_UNUSABLE: web page", attempts=1),
    Case("an empty file", server={"content": b"", "ranges": False}, outcome="DATASET_UNUSABLE: empty", attempts=1),
    Case("a file larger than the disk", server={"announce": 2**60}, outcome="STORE_FULL: still to come", attempts=1),
]  # fmt: skip


def said(outcome: str) -> str:
    """The outcome without what every one of them says."""
    reason, _, message = outcome.partition(": ")
    return f"{reason} {message.rpartition('.tsv: ')[2]}"[:66]


def fetcher_in(folder, patience=PATIENCE):
    """What a process of its own would be."""
    cache = folder / "cache"
    return SourceFetcher(
        FolderStore(cache), partial=cache / "partial", s3=None, patience=patience
    )


def at(server, expected=None):
    url = f"{server.url}/mine.tsv"
    return HttpAddress(url, url, Expected(expected, None, "the test"))


@pytest.fixture
def fetched(tmp_path):
    """Fetches from a server with a case's faults; says what came of it."""

    async def fetch(case: Case):
        kinds = {"content": CONTENT} | case.server
        md5 = hashlib.md5(case.expected).hexdigest() if case.expected else None
        async with faulty_server(kinds.pop("content"), *case.faults, **kinds) as server:
            fetcher, location = fetcher_in(tmp_path), at(server, md5)
            try:
                source = await fetcher.fetch("Mine", location, lambda _step: None)
            except AssayError as error:
                return server, f"{error.reason}: {error.message}"
            came = {CONTENT: "whole", OTHER: "whole (new)"}
            return server, came[source.path.read_bytes()]

    return fetch


@pytest.mark.parametrize("case", CASES, ids=[case.injected for case in CASES])
async def test_no_fault_costs_more_than_it_must_or_yields_other_bytes(
    fetched, capsys, case
):
    server, outcome = await fetched(case)
    requests = len(server.requests)
    with capsys.disabled():
        row = (case.injected, said(outcome), server.sent, requests)
        print("\n{:<50} {:<66} {:>7} bytes {:>3} attempts".format(*row), end="")  # noqa: T201 - the table is the claim
    reason, _, words = case.outcome.partition(": ")
    assert outcome.startswith(reason)
    assert words in outcome
    assert server.sent <= case.most
    assert requests <= case.attempts


async def test_what_several_connections_brought_is_never_asked_for_again(tmp_path):
    async with faulty_server(CONTENT, *[""] * 3, always="status:503") as server:
        server.faults += ["cut:1000"] * 3
        with pytest.raises(AssayError, match="503"):
            await fetcher_in(tmp_path).fetch("Mine", at(server), lambda _: None)
        assert server.sent == 3 * PIECE + 3000
        server.always = ""
        source = await fetcher_in(tmp_path).fetch("Mine", at(server), lambda _: None)
    assert source.path.read_bytes() == CONTENT
    assert server.sent == WHOLE


async def test_a_download_that_takes_too_long_ends_and_is_gone_on_with(tmp_path):
    hurried = replace(PATIENCE, stall=30.0, total=0.5)
    async with faulty_server(CONTENT, "", always="stall:100") as server:
        with pytest.raises(AssayError, match="not whole after") as ended:
            await fetcher_in(tmp_path, hurried).fetch(
                "Mine", at(server), lambda _: None
            )
        server.always = ""
        source = await fetcher_in(tmp_path).fetch("Mine", at(server), lambda _: None)
    assert source.path.read_bytes() == CONTENT
    assert ended.value.reason == "SOURCE_UNAVAILABLE"
