"""The ledger: one record counts per sample, whatever the order in which records arrive."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from assay.aggregator.ledger import Ledger, Place
from assay.domain.completion import Completion, Failure
from assay.domain.sample import UnscoredReason

TOTAL = 5
records = st.lists(
    st.tuples(
        st.integers(0, TOTAL - 1),
        st.sampled_from([None, UnscoredReason.TIMEOUT, UnscoredReason.SERVER_ERROR]),
        st.builds(
            Place,
            st.integers(1, 3),
            st.integers(0, 2),
            st.integers(4, 6),
            st.integers(0, 2),
        ),
    ),
    # A place holds one record.
    unique_by=lambda record: record[2],
)


def completion(ordinal, reason=None):
    if reason is None:
        return Completion(ordinal=ordinal, text="A")
    return Completion(ordinal=ordinal, failure=Failure(reason=reason, message=""))


def folded(items, retry_epoch=0):
    ledger = Ledger(TOTAL, {4: UnscoredReason.PICTURE_INVALID}, retry_epoch)
    for ordinal, reason, place in items:
        ledger.fold(completion(ordinal, reason), place)
    return ledger


def told(ledger):
    return (
        list(ledger.winners()),
        ledger.digest(),
        ledger.unscored_by_reason,
        (ledger.open_count, ledger.answered_count, ledger.unscored_count),
    )


@given(records, st.randoms(), st.integers(0, 3))
def test_the_order_of_records_does_not_matter(items, random, retry_epoch):
    shuffled = list(items)
    random.shuffle(shuffled)
    assert told(folded(items, retry_epoch)) == told(folded(shuffled, retry_epoch))


@given(records, st.integers(0, 3))
def test_folding_again_changes_nothing(items, retry_epoch):
    assert told(folded(items, retry_epoch)) == told(folded(items * 2, retry_epoch))


@given(records)
def test_every_sample_is_counted_once(items):
    ledger = folded(items)
    assert (
        ledger.open_count + ledger.answered_count + ledger.unscored_count
        == ledger.total
    )
    assert sum(ledger.unscored_by_reason.values()) == ledger.unscored_count


def test_a_success_beats_an_earlier_error():
    ledger = folded(
        [(0, UnscoredReason.TIMEOUT, Place(1, 0, 4)), (0, None, Place(2, 0, 4))]
    )
    assert ledger.answered_count == 1
    assert next(ledger.winners()) == (0, Place(2, 0, 4), None)


def test_among_successes_the_lowest_place_wins():
    ledger = folded([(0, None, Place(2, 0, 4)), (0, None, Place(1, 9, 9))])
    assert next(ledger.winners()) == (0, Place(1, 9, 9), None)


def test_a_barred_sample_stays_unscored_whatever_is_recorded():
    ledger = folded([(4, None, Place(1, 0, 4))])
    assert ledger.unscored_by_reason == {UnscoredReason.PICTURE_INVALID: 1}
    assert not ledger.has(4)


def test_a_retry_opens_errors_and_nothing_else():
    items = [(0, UnscoredReason.TIMEOUT, Place(1, 0, 4)), (1, None, Place(1, 0, 9))]
    ledger = folded(items, retry_epoch=2)
    assert (ledger.is_open(0), ledger.is_open(1), ledger.is_open(4)) == (1, 0, 0)


def test_an_answer_of_this_run_beats_one_of_a_former_execution():
    of_former = (0, None, Place(1, 0, 4, source=1))
    ledger = folded([(0, None, Place(9, 9, 9)), of_former])
    assert next(ledger.winners()) == (0, Place(9, 9, 9), None)
    assert (ledger.adopted_count, ledger.answered_by) == (0, {0: 1})


def test_after_a_retry_the_errors_of_former_executions_are_void_and_their_answers_count():
    failed = (0, UnscoredReason.TIMEOUT, Place(9, 0, 4, source=1))
    ledger = folded([failed, (1, None, Place(9, 0, 9, source=1))], retry_epoch=1)
    assert (ledger.is_open(0), ledger.adopted_count) == (True, 1)


def test_runs_that_go_on_from_the_same_records_name_them_alike():
    mine, theirs = (
        [(0, None, Place(1, 0, 4)), (1, None, Place(2, 0, 4, source=1))],
        [
            (0, None, Place(1, 0, 4, source=2)),
            (1, None, Place(2, 0, 4, source=1)),
        ],
    )
    seen_by_first = folded(mine).digest(["", "zero"])
    assert folded(theirs).digest(["third", "zero", ""]) == seen_by_first
    assert folded(theirs).digest(["third", "", "zero"]) != seen_by_first


def test_a_large_task_costs_less_than_400_bytes_per_sample():
    ledger = Ledger(200_000, {})
    size = sum(sys.getsizeof(column) for column in vars(ledger).values())
    assert size / 200_000 < 400
