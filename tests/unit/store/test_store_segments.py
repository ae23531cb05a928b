"""Segments: small, exact, and never a corrupt record taken for a good one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.domain.completion import Completion, Failure
from assay.domain.errors import CorruptError
from assay.domain.sample import UnscoredReason
from assay.store.segments import Record, decode_segment, encode_segment

texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)
completions = st.builds(
    lambda ordinal, text, reason, message, tokens: Completion(
        ordinal=ordinal,
        text=text,
        failure=None if text else Failure(reason=reason, message=message),
        finish_reason="stop",
        prompt_tokens=tokens,
        latency=0.25,
    ),
    st.integers(0, 2**31),
    st.none() | texts,
    st.sampled_from(UnscoredReason),
    texts,
    st.integers(0, 10**6),
)
records = st.lists(
    st.builds(Record, completions, st.sampled_from(["w-1", "w-2"])), max_size=8
)


def answers(count):
    return [
        Record(
            Completion(
                ordinal=100_000 + n,
                text="A",
                finish_reason="stop",
                prompt_tokens=1500,
                completion_tokens=200,
                latency=1.25,
            ),
            "worker-4242-0123456789abcdef",
        )
        for n in range(count)
    ]


@given(records)
def test_records_come_back_as_they_were_written(written):
    data, offsets = encode_segment(3, 7, 1_700_000_000, written)
    read = decode_segment(data, "k")
    assert [placed.record for placed in read.records] == written
    assert [placed.offset for placed in read.records] == offsets
    assert (read.epoch, read.seq, read.torn) == (3, 7, "")


@given(records.filter(bool), st.data())
def test_a_cut_segment_yields_a_prefix_and_says_so(written, data):
    whole, offsets = encode_segment(1, 0, 0, written)
    cut = data.draw(st.integers(offsets[0], len(whole) - 1))
    read = decode_segment(whole[:cut], "k")
    assert [p.record for p in read.records] == written[: len(read.records)]
    assert len(read.records) < len(written)
    assert read.torn


@given(records.filter(bool), st.data())
def test_a_changed_byte_is_never_read_as_a_record(written, data):
    whole, offsets = encode_segment(1, 0, 0, written)
    at = data.draw(st.integers(offsets[0], len(whole) - 1))
    broken = bytearray(whole)
    broken[at] ^= data.draw(st.integers(1, 255))
    read = decode_segment(bytes(broken), "k")
    assert [p.record for p in read.records] == written[: len(read.records)]
    assert read.torn


def test_a_segment_without_a_head_is_named():
    with pytest.raises(CorruptError, match="completions/1/2"):
        decode_segment(b"ASG", "completions/1/2.seg")


def test_a_record_costs_at_most_60_bytes_beside_its_answer():
    data, _ = encode_segment(12, 345, 1_700_000_000, answers(64))
    assert len(data) / 64 <= 60 + 1


def test_a_segment_of_one_record_stays_below_200_bytes():
    data, _ = encode_segment(12, 345, 1_700_000_000, answers(1))
    assert len(data) <= 200
