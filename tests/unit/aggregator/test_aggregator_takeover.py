"""Taking over: what an epoch admits counts, what it does not name is void for ever."""

import pytest

from assay.aggregator.takeover import admitted_segments, begin_epoch
from assay.domain.completion import Completion
from assay.domain.errors import CorruptError
from assay.domain.task import TaskId
from assay.store import keys
from assay.store.folder import FolderStore
from assay.store.segments import Record, encode_segment

TASK = TaskId("m", "D")


@pytest.fixture
def store(tmp_path):
    return FolderStore(tmp_path / "cache", tmp_path / "run")


def begin(store, transitions, **options):
    return begin_epoch(
        store, "r", [TASK], transitions=transitions, holder="a test", **options
    )


def write(store, epoch, seq):
    record = Record(Completion(ordinal=seq, text="A"), "w")
    data, _ = encode_segment(epoch, seq, 0, [record])
    store.put(keys.segment("r", TASK, epoch, seq), data)


def test_an_epoch_is_above_the_claims_transitions_and_all_former_ones(store):
    assert begin(store, 4).number == 4001
    assert begin(store, 5).number == 5001
    assert begin(store, 1).number == 5002


def test_a_segment_that_somebody_took_away_costs_its_own_answers_alone(store):
    first = begin(store, 1).number
    for seq in (0, 1, 3):
        write(store, first, seq)
    second = begin(store, 2)
    assert second.admitted == {TASK: {first: 4}}
    found = admitted_segments(store, "r", TASK, second.admitted[TASK])
    assert [segment.seq for segment in found] == [0, 1, 3]


def test_a_file_among_the_segments_that_is_none_is_named(store):
    first = begin(store, 1).number
    store.put(keys.segments("r", TASK, first) + "notes.txt", b"")
    with pytest.raises(CorruptError, match=r"notes\.txt stands among the segments"):
        begin(store, 2)


def test_what_is_written_after_the_take_over_is_void_for_all_later_ones(store):
    first = begin(store, 1).number
    write(store, first, 0)
    second = begin(store, 2).number
    write(store, first, 1)
    write(store, second, 0)
    third = begin(store, 3)
    assert third.admitted == {TASK: {first: 1, second: 1}}
    found = admitted_segments(store, "r", TASK, third.admitted[TASK])
    assert [(s.epoch, s.seq) for s in found] == [(first, 0), (second, 0)]


def test_the_last_retry_is_remembered_by_all_later_epochs(store):
    begin(store, 1)
    retried = begin(store, 1, retry=True)
    assert retried.retry_epoch == retried.number
    assert begin(store, 2).retry_epoch == retried.number


def test_an_epoch_file_that_cannot_be_read_is_named_and_nothing_is_begun(store):
    begin(store, 1)
    store.put(keys.epoch("r", 1001), b"{")
    with pytest.raises(CorruptError, match="00001001"):
        begin(store, 2)
    assert store.size(keys.epoch("r", 2001)) is None


def test_a_claim_never_counts_where_a_later_one_may_count(store):
    """A holder stopped inside its epoch's PUT may finish it after its successor's."""
    stopped = [begin(store, 1, retry=number > 0).number for number in range(5)]
    assert begin(store, 2).number > max(stopped) + 100
