"""What a large task costs an aggregator: bytes per sample, and commits that do not get dearer."""

import sys
import tracemalloc

import pytest

from assay.aggregator.leases import LeaseBook
from assay.aggregator.ledger import Ledger, Place
from assay.domain.completion import Completion
from assay.domain.task import TaskId

SAMPLES = 200_000
TASK = TaskId("m", "D")


class Task:
    """A ledger and its leases, worked through in batches."""

    def __init__(self, total):
        self.now = 0.0
        self.ledger = Ledger(total, {})
        self.book = LeaseBook(nproc=64, lease_seconds=30.0, clock=lambda: self.now)
        self.book.open(TASK, total, self.ledger.is_open)
        self.done = 0

    def batch(self):
        """One lease and the commit of all of it."""
        self.now += 1.0
        (granted,) = self.book.lease("w", 64, lambda: f"e1-{self.done}")
        for ordinal in granted.ordinals:
            completion = Completion(ordinal=ordinal, text="A")
            self.ledger.fold(completion, Place(1, self.done, 4))
            self.done += 1
        self.book.settle(TASK, granted.ordinals)


def steps_of(call):
    """Python lines that a call runs: a cost that does not depend on the machine."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(former)
    return count


@pytest.mark.parametrize("held", [0, SAMPLES])
def test_a_sample_costs_at_most_400_bytes_held_or_not(held, capsys):
    tracemalloc.start()
    try:
        task = Task(SAMPLES)
        # Workers enough that every sample is held at once: the dearest state there is.
        for number in range(0, held, 256):
            task.book.nproc = SAMPLES * SAMPLES
            task.book.lease(f"w{number % 64}", 256, lambda n=number: f"e1-{n}")
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    each = size / SAMPLES
    leased = task.book.leased_count(TASK)
    with capsys.disabled():
        sys.stdout.write(f"\n{SAMPLES} samples, {leased} held: {each:.0f} B each\n")
    assert each <= 400


def test_a_commit_costs_the_same_at_the_end_of_a_task_as_at_its_start(capsys):
    task = Task(SAMPLES)
    task.batch()
    first = steps_of(task.batch)
    while task.done < SAMPLES - 1000:
        task.batch()
    last = steps_of(task.batch)
    with capsys.disabled():
        sys.stdout.write(f"\nlines per commit: {first} at first, {last} at last\n")
    assert last <= 1.2 * first
