"""Leases: every open sample is held by one worker at most and comes back when its time is up."""

import itertools

import pytest

from assay.aggregator.leases import LeaseBook
from assay.domain.lease import HeldLease
from assay.domain.task import TaskId

TASK = TaskId("m", "D")
OTHER = TaskId("m", "E")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


class Desk:
    """A book, its clock, and what is open in it."""

    def __init__(self, total=100, **settings):
        self.clock = Clock()
        self.open = set(range(total))
        settings = {"nproc": 4, "lease_seconds": 30.0, **settings}
        self.book = LeaseBook(clock=self.clock, **settings)
        self.book.open(TASK, total, self.open.__contains__)
        self.ids = (f"1-{n}" for n in itertools.count())

    def lease(self, worker="w", capacity=4):
        granted = self.book.lease(worker, capacity, lambda: next(self.ids))
        return [o for lease in granted for o in lease.ordinals]

    def settle(self, *ordinals):
        self.open.difference_update(ordinals)
        self.book.settle(TASK, ordinals)


@pytest.fixture
def desk():
    return Desk()


def test_samples_go_out_once_and_in_dataset_order(desk):
    assert desk.lease() == [0, 1, 2, 3]
    assert desk.lease() == [4, 5, 6, 7]
    assert desk.book.leased_count(TASK) == 8


def test_an_expired_lease_is_handed_out_again_first(desk):
    desk.lease()
    desk.settle(1)
    desk.clock.now += 30
    assert desk.lease("v") == [0, 2, 3, 4]


def test_an_extended_lease_lives_on(desk):
    desk.lease()
    desk.clock.now += 20
    held = HeldLease(lease_id="1-0", task=TASK, open_ordinals=(0, 1, 2, 3))
    assert desk.book.extend("w", [held]) == [True]
    desk.clock.now += 20
    assert desk.lease("v", 1) == [4]


def test_released_samples_are_free_at_once(desk):
    desk.lease()
    desk.book.release("w", ["1-0", "unknown"])
    assert desk.lease("v") == [0, 1, 2, 3]


def test_nobody_releases_anothers_lease(desk):
    desk.lease()
    desk.book.release("v", ["1-0"])
    assert desk.book.leased_count(TASK) == 4


def test_a_settled_sample_is_neither_held_nor_free(desk):
    desk.lease()
    desk.settle(0, 1, 2, 3)
    assert desk.book.leased_count(TASK) == 0
    assert desk.lease() == [4, 5, 6, 7]


def test_an_unknown_lease_of_a_former_aggregator_is_taken_over(desk):
    held = HeldLease(lease_id="0-7", task=TASK, open_ordinals=(2, 3))
    assert desk.book.extend("w", [held]) == [True]
    assert desk.lease("v") == [0, 1, 4, 5]


def test_a_former_lease_is_lost_when_another_has_one_of_its_samples(desk):
    desk.lease("v", 1)
    held = HeldLease(lease_id="0-7", task=TASK, open_ordinals=(0, 1))
    assert desk.book.extend("w", [held]) == [False]
    assert desk.book.leased_count(TASK) == 1


def test_nothing_is_leased_until_the_expected_workers_have_announced():
    desk = Desk(expected=["w"], grace=5.0)
    assert desk.lease("v") == []
    held = HeldLease(lease_id="0-7", task=TASK, open_ordinals=(0,))
    desk.book.extend("w", [held])
    assert desk.lease("v") == [1, 2, 3, 4]


def test_the_wait_for_announcements_ends():
    desk = Desk(expected=["w"], grace=5.0)
    assert desk.lease("v") == []
    assert desk.book.next_change() == 1005.0
    desk.clock.now += 5
    assert desk.lease("v") == [0, 1, 2, 3]


def test_nproc_is_dealt_out_over_live_workers(desk):
    desk.book.see("a")
    assert desk.book.limit("a") == 4
    for worker in ("b", "c"):
        desk.book.see(worker)
    assert [desk.book.limit(w) for w in "abc"] == [2, 1, 1]
    desk.clock.now += 29
    desk.book.see("b")
    desk.clock.now += 2
    desk.book.expire()
    assert desk.book.limit("b") == 4


def test_workers_beyond_nproc_wait_and_take_the_place_of_one_that_leaves(desk):
    for worker in "edcba":
        desk.lease(worker)
    assert [desk.book.limit(w) for w in "edcba"] == [1, 1, 1, 1, 0]
    assert desk.lease("a") == []
    desk.book.release("e", ["1-0"])
    desk.book.forget("e")
    assert desk.book.limit("a") == 1
    assert desk.lease("a") != []


def test_a_worker_that_holds_samples_may_ask_whoever_came_before_it():
    desk = Desk(expected=["late"], grace=5.0)
    for worker in "abcd":
        desk.book.see(worker)
    held = HeldLease(lease_id="0-7", task=TASK, open_ordinals=(0,))
    desk.book.extend("late", [held])
    assert [desk.book.limit(w) for w in ("late", *"abcd")] == [1, 1, 1, 1, 0]


def test_near_the_end_workers_share_what_is_left():
    desk = Desk(total=16)
    desk.book.see("v")
    assert len(desk.lease("w", 100)) == 4


def test_a_worker_gets_some_seconds_of_work_once_the_rate_is_known():
    desk = Desk(total=10_000, nproc=64)
    desk.clock.now += 10
    desk.settle(*range(1000))
    assert len(desk.lease("w", 1000)) == 256


def test_tasks_of_a_queue_go_out_one_after_the_other(desk):
    desk.book.open(OTHER, 3, lambda _: True)
    desk.settle(*range(98))
    granted = desk.book.lease("w", 4, lambda: next(desk.ids))
    assert [(g.task, g.ordinals) for g in granted] == [
        (TASK, (98, 99)),
        (OTHER, (0, 1)),
    ]


def test_samples_opened_again_go_out_again(desk):
    assert desk.lease() == [0, 1, 2, 3]
    desk.settle(0, 1)
    desk.open.add(0)
    desk.book.open(TASK, 100, desk.open.__contains__)
    assert desk.lease() == [0, 4, 5, 6]


def test_samples_given_back_before_delivery_are_free(desk):
    desk.lease()
    desk.book.give_back("1-0", [2, 3])
    assert desk.lease("v") == [2, 3, 4, 5]


def test_a_task_opened_again_is_asked_of_its_new_ledger_and_leases_stay(desk):
    assert desk.lease("w", 2) == [0, 1]
    desk.book.open(TASK, 100, {1, 2}.__contains__)
    assert desk.lease("v") == [2]
