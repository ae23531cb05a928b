"""What has come of a download survives its process; what a crash of the machine spoilt comes again."""

from __future__ import annotations

from itertools import pairwise

import pytest

from assay.dataset.sources.part import Part

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def target(tmp_path):
    return tmp_path / "partial" / "file"


def begun(target, *taken: int) -> None:
    """Leaves a part of four spans, of which so many bytes have come."""
    part = Part(target)
    part.begin(validator='"one"', total=len(CONTENT), piece=2560)
    for span, count in zip(part.spans, taken, strict=False):
        part.take(span, CONTENT[span.start : span.start + count])
    part.close()


def done(target) -> list[int]:
    part = Part(target)
    part.close()
    return [span.done for span in part.spans]


def test_a_later_process_finds_what_came_and_of_which_version(target):
    begun(target, 2560, 100, 0, 7)
    part = Part(target)
    assert (part.validator, part.total, part.received) == ('"one"', 10240, 2667)
    assert [span.missing for span in part.missing] == [2460, 2560, 2553]
    part.close()


def test_a_line_that_was_not_written_to_its_end_does_not_count(target):
    begun(target, 2560, 100)
    journal = target.with_name("file.journal")
    journal.write_bytes(journal.read_bytes()[:-3])
    assert done(target) == [2560, 0, 0, 0]


@pytest.mark.parametrize("spoilt", [0, 2559, 2560])
def test_bytes_that_do_not_fit_their_checksum_come_again(target, spoilt):
    begun(target, 2560, 100)
    data = bytearray(target.read_bytes())
    data[spoilt] ^= 1
    target.write_bytes(data)
    assert done(target) == ([2560, 0] if spoilt == 2560 else [0, 100]) + [0, 0]


def test_a_file_shorter_than_its_journal_says_comes_again(target):
    begun(target, 2560, 100)
    target.write_bytes(target.read_bytes()[:2600])
    assert done(target) == [2560, 0, 0, 0]


@pytest.mark.parametrize("journal", [b"", b"{}\n", b"[1]\n", b'{"validator": 1'])
def test_a_journal_that_makes_no_sense_is_a_fresh_start(target, journal):
    begun(target, 2560)
    target.with_name("file.journal").write_bytes(journal)
    assert done(target) == []
    assert not target.exists()


def test_spans_lie_end_to_end_and_are_never_too_many(target):
    part = Part(target)
    part.begin(validator="v", total=2**40 + 1, piece=8 * 2**20)
    ends = [(span.start, span.end) for span in part.spans]
    part.close()
    assert ends[0] == (0, 8 * 2**20)
    assert ends[-1][1] == 2**40 + 1
    assert all(a[1] == b[0] for a, b in pairwise(ends))
    assert len(ends) <= 258


def test_only_the_file_stays_when_it_is_whole(target):
    part = Part(target)
    part.begin(validator="v", total=3, piece=8)
    part.take(part.spans[0], b"abc")
    part.finish()
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    assert target.read_bytes() == b"abc"


def test_a_write_that_comes_too_late_reaches_no_other_file(target):
    part = Part(target)
    part.begin(validator='"one"', total=4, piece=8)
    late = part.spans[0]
    part.begin(validator='"two"', total=4, piece=8)
    part.take(late, b"old!")
    part.take(part.spans[0], b"new")
    part.close()
    part.take(part.spans[0], b"!")
    assert target.read_bytes() == b"new"
