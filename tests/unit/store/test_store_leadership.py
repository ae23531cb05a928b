"""Claims on a run: one holder, who is named; a successor waits until the former cannot acknowledge."""

import os
import subprocess
import sys

import pytest

from assay.domain.errors import HeldError, NotLeaderError
from assay.store.leadership import DeadlineLock, FlockLock, Holder, this_process


class Clock:
    """Time that passes by sleeping; `events` happen when it is reached."""

    def __init__(self):
        self.now = 100.0
        self.events = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for event in [e for e in self.events if e[0] <= self.now]:
            self.events.remove(event)
            event[1]()


@pytest.fixture
def clock():
    return Clock()


def deadline(path, clock, name):
    holder = Holder(name=name, pid=4242, host="host-a")
    return DeadlineLock(path, holder, 15.0, clock=clock, sleep=clock.sleep)


def test_a_second_file_lock_names_the_holder(tmp_path):
    first = FlockLock(tmp_path / "lock", this_process())
    first.acquire()
    with pytest.raises(HeldError, match=f"process {os.getpid()} on "):
        FlockLock(tmp_path / "lock", this_process()).acquire()
    assert first.held()


def test_a_process_that_its_parent_starts_anew_names_the_parent(tmp_path):
    first = FlockLock(tmp_path / "lock", this_process(of_parent=True))
    first.acquire()
    with pytest.raises(HeldError, match=f"process {os.getppid()} on "):
        FlockLock(tmp_path / "lock", this_process()).acquire()
    first.release()


def test_each_file_lock_is_one_transition_more(tmp_path):
    for expected in (1, 2, 3):
        lock = FlockLock(tmp_path / "lock", this_process())
        lock.acquire()
        assert lock.transitions == expected
        lock.release()


def test_a_child_does_not_inherit_the_file_lock(tmp_path):
    lock = FlockLock(tmp_path / "lock", this_process())
    lock.acquire()
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as child:
        # The kernel closes what is close-on-exec a moment after it lets the parent go on.
        child.stdout.readline()
        lock.release()
        FlockLock(tmp_path / "lock", this_process()).acquire()
        child.communicate(b"\n")


def test_an_unclaimed_deadline_lock_is_had_at_once(tmp_path, clock):
    lock = deadline(tmp_path / "lock", clock, "a")
    lock.acquire()
    assert clock.now == 100.0
    assert lock.held()
    assert lock.transitions == 1


def test_a_claim_that_is_not_renewed_ends_by_the_clock(tmp_path, clock):
    lock = deadline(tmp_path / "lock", clock, "a")
    lock.acquire()
    clock.now += 10
    lock.renew()
    clock.now += 14.9
    assert lock.held()
    clock.now += 0.2
    assert not lock.held()


def test_a_successor_begins_after_the_former_holder_may_no_longer_acknowledge(
    tmp_path, clock
):
    former, successor = (deadline(tmp_path / "lock", clock, n) for n in "ab")
    former.acquire()
    clock.now += 7
    successor.acquire()
    assert successor.held()
    assert not former.held()
    assert successor.transitions == 2
    with pytest.raises(NotLeaderError):
        former.renew()


def test_a_holder_that_renews_keeps_its_claim_and_is_named(tmp_path, clock):
    former, successor = (deadline(tmp_path / "lock", clock, n) for n in "ab")
    former.acquire()
    clock.events.append((105.0, former.renew))
    with pytest.raises(HeldError, match="process 4242 on host-a"):
        successor.acquire()


def test_a_released_claim_need_not_be_waited_out(tmp_path, clock):
    former, successor = (deadline(tmp_path / "lock", clock, n) for n in "ab")
    former.acquire()
    former.release()
    successor.acquire()
    assert clock.now == 100.0
    assert not former.held()


def test_of_two_successors_one_wins(tmp_path, clock):
    former, one, two = (deadline(tmp_path / "lock", clock, n) for n in "abc")
    former.acquire()
    one.acquire()
    clock.events.append((clock.now + 5, one.renew))
    with pytest.raises(HeldError):
        two.acquire()
    assert one.held()


def test_a_late_renewal_is_refused_even_when_nobody_took_over(tmp_path, clock):
    lock = deadline(tmp_path / "lock", clock, "a")
    lock.acquire()
    clock.now += 16
    with pytest.raises(NotLeaderError):
        lock.renew()
