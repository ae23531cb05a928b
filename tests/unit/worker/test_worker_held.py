"""What is held, lease by lease."""

from assay.domain.lease import Lease, LeasedSample
from assay.domain.prompt import Prompt
from assay.domain.task import TaskId
from assay.worker.held import LeaseBook

TASK = TaskId("m", "D")


def lease(name: str, *ordinals: int, expires: float = 30.0) -> Lease:
    return Lease(
        lease_id=name,
        task=TASK,
        expires=expires,
        samples=tuple(
            LeasedSample(ordinal=n, sample_id=str(n), prompt=Prompt(()))
            for n in ordinals
        ),
    )


def announced(book: LeaseBook) -> dict[str, tuple[int, ...]]:
    return {held.lease_id: held.open_ordinals for held in book.announcement()}


def test_a_lease_is_announced_with_what_is_not_acknowledged() -> None:
    book = LeaseBook()
    book.add(lease("a", 1, 2, 3))
    book.acknowledged((TASK, 2, 0))
    assert announced(book) == {"a": (1, 3)}


def test_a_lease_of_which_nothing_is_open_is_not_held() -> None:
    book = LeaseBook()
    book.add(lease("a", 1))
    book.acknowledged((TASK, 1, 0))
    assert (announced(book), len(book), book.shortest_period()) == ({}, 0, None)


def test_of_a_lost_lease_what_was_not_sent_is_dropped() -> None:
    book = LeaseBook()
    waiting, sent, answered = book.add(lease("a", 1, 2, 3))
    sent.in_flight = answered.answered = True
    book.lost("a")
    assert (waiting.dropped, sent.dropped, answered.dropped) == (True, False, False)
    assert announced(book) == {}
    assert set(book) == {sent, answered}


def test_a_sample_on_its_way_is_not_asked_again_under_a_new_lease() -> None:
    book = LeaseBook()
    (sent,) = book.add(lease("a", 1))
    sent.in_flight = True
    book.lost("a")
    assert book.add(lease("b", 1, 2))[0].sample.ordinal == 2
    assert announced(book) == {"b": (1, 2)}
    assert sent.lease_id == "b"


def test_a_sample_that_was_dropped_is_asked_under_a_new_lease() -> None:
    book = LeaseBook()
    book.add(lease("a", 1))
    book.lost("a")
    assert [held.sample.ordinal for held in book.add(lease("b", 1))] == [1]


def test_the_heartbeat_follows_the_shortest_lease() -> None:
    book = LeaseBook()
    book.add(lease("a", 1, expires=30.0))
    book.add(lease("b", 2, expires=12.0))
    assert book.shortest_period() == 12.0
    book.extended("b", 60.0)
    assert book.shortest_period() == 30.0
