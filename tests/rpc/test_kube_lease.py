"""The claim by a Lease: never two holders by their own clocks, whatever is lost, late or skewed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from assay.domain.errors import (
    HeldError,
    NotLeaderError,
    PermissionDeniedError,
    UnavailableError,
)
from assay.kube.api import KubeApi
from assay.kube.lease import KubernetesLease, timeouts_for
from assay.store.leadership import Leadership
from support.lease_store import LeaseStore
from support.scripted_api import SteppedTime, api_to, refuses, scripted_api

DURATION = 15


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with scripted_api() as server:
        made = api_to(server)
        made.store = LeaseStore(server)  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def store(api: KubeApi) -> LeaseStore:
    found: LeaseStore = api.store  # type: ignore[attr-defined]
    return found


@pytest.fixture
def steps() -> SteppedTime:
    return SteppedTime()


def claim(api: KubeApi, holder: str, steps: SteppedTime) -> KubernetesLease:
    return KubernetesLease(
        api,
        "eval",
        "assay-aggregator",
        holder,
        duration=DURATION,
        clock=steps.clock,
        stop=steps,
    )


def test_it_is_a_leadership_as_the_aggregator_wants_one(
    api: KubeApi, steps: SteppedTime
) -> None:
    lease: Leadership = claim(api, "one", steps)
    assert not lease.held()
    lease.acquire()
    assert (lease.held(), lease.transitions) == (True, 1)


def test_a_claim_ends_by_the_clock_unless_renewed(
    api: KubeApi, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    steps.now += 14.9
    lease.renew()
    steps.now += 14.9
    assert lease.held()
    steps.now += 0.2
    assert not lease.held()
    with pytest.raises(NotLeaderError, match="not renewed in time"):
        lease.renew()


def test_the_deadline_counts_from_before_the_request_was_sent(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()

    class SlowApi:
        def merge(self, *words: object, **more: object) -> object:
            steps.now += 10.0
            return api.merge(*words, **more)  # type: ignore[arg-type, type-var]

    lease._api = SlowApi()  # type: ignore[assignment]
    lease.renew()
    steps.now += 4.9
    assert lease.held()
    steps.now += 0.2
    assert not lease.held()


def test_a_living_holder_is_never_overwritten_and_is_named(
    api: KubeApi, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert second.try_acquire() == DURATION
    for _ in range(20):
        steps.now += 5
        first.renew()
        assert second.try_acquire() == DURATION
    assert (first.held(), second.held()) == (True, False)


def test_acquiring_is_refused_as_soon_as_the_holder_is_seen_to_live(
    api: KubeApi, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    waits = steps.wait

    def renewing(timeout: float | None = None) -> bool:
        first.renew()
        return waits(timeout)

    steps.wait = renewing  # type: ignore[method-assign]
    with pytest.raises(HeldError, match="eval/assay-aggregator: one holds it"):
        second.acquire()
    assert steps.now < DURATION


def test_a_silent_holder_is_waited_out_by_our_own_clock(
    api: KubeApi, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    steps.now += 14
    began = steps.now
    second.acquire()
    assert steps.now - began >= DURATION
    assert (first.held(), second.held(), second.transitions) == (False, True, 2)


@pytest.mark.parametrize(
    "skew", ["1999-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"]
)
def test_a_holder_with_a_wrong_wall_clock_is_judged_like_any_other(
    api: KubeApi, store: LeaseStore, steps: SteppedTime, skew: str
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert store.lease is not None
    store.lease["spec"]["renewTime"] = skew
    assert second.try_acquire() == DURATION
    steps.now += DURATION
    assert second.try_acquire() == 0.0


def test_a_released_claim_is_taken_at_once(api: KubeApi, steps: SteppedTime) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    first.release()
    assert not first.held()
    second.acquire()
    assert (steps.now, second.transitions) == (0.0, 2)


def test_releasing_somebody_elses_claim_leaves_it_alone(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    second.acquire()
    writes = store.writes
    first.release()
    assert (store.writes, second.held()) == (writes, True)


def test_of_two_that_take_a_free_lease_at_once_one_has_it(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    seen = first._read()
    second.acquire()
    first._read = lambda: seen  # type: ignore[method-assign]  # what it saw is old by now
    assert first.try_acquire() > 0
    assert (first.held(), second.held()) == (False, True)


def test_a_holder_that_was_overtaken_learns_it_by_renewing(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert store.lease is not None
    store.lease["spec"]["leaseDurationSeconds"] = 1
    second.acquire()
    with pytest.raises(NotLeaderError, match="two has it"):
        first.renew()
    assert not first.held()


def test_a_lease_that_was_deleted_is_lost(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    store.lease = None
    with pytest.raises(NotLeaderError, match="nobody has it"):
        lease.renew()
    assert not lease.held()


def test_a_renewal_whose_answer_was_lost_prolongs_nothing_and_the_next_goes_on(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    store.lost = ["PATCH"]
    steps.now += 10
    with pytest.raises(UnavailableError):
        lease.renew()
    steps.now += 4
    lease.renew()
    steps.now += 14
    assert (lease.held(), lease.transitions) == (True, 1)


def test_an_acquisition_whose_answer_was_lost_is_found_to_be_ours(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    store.lost = ["POST"]
    with pytest.raises(UnavailableError):
        lease.acquire()
    assert not lease.held()
    lease.acquire()
    assert (lease.held(), lease.transitions, steps.now) == (True, 1, 0.0)


def test_a_label_that_somebody_puts_on_it_costs_no_claim(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert second.try_acquire() == DURATION
    store.label(team="vision")
    first.renew()
    assert first.held()
    assert store.lease is not None
    assert store.lease["metadata"]["labels"] == {"team": "vision"}


def test_a_label_is_no_sign_of_life(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert second.try_acquire() == DURATION
    steps.now += 10
    store.label(team="vision")
    assert second.try_acquire() == DURATION - 10


def test_an_unreachable_server_moves_no_deadline(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    store.refused = refuses(500)
    steps.now += 10
    with pytest.raises(UnavailableError):
        lease.renew()
    assert lease.held()
    steps.now += 5
    assert not lease.held()


def test_who_may_not_touch_leases_is_told_so(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    store.refused = refuses(403, "forbidden")
    with pytest.raises(PermissionDeniedError, match=r"leases \(apiGroup"):
        claim(api, "one", steps).acquire()


def test_standing_by_ends_with_the_claim_or_with_the_process(
    api: KubeApi, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    assert second.stand_by()
    assert (first.held(), second.held()) == (False, True)
    steps.set()
    assert not claim(api, "three", steps).stand_by()


def test_a_renewal_that_was_on_its_way_does_not_undo_a_release(
    api: KubeApi, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    lease._released = True  # as `release` says first, before it waits for the renewal
    lease._deadline += 1
    before = lease._deadline
    lease.renew()
    assert lease._deadline == before


def test_renewals_are_spread_and_three_fit_into_a_duration(
    api: KubeApi, steps: SteppedTime
) -> None:
    lease = claim(api, "one", steps)
    lease.acquire()
    waits = set()
    for _ in range(20):
        waits.add(lease.renew_seconds)
        lease.renew()
    assert len(waits) > 10
    assert max(wait or 0.0 for wait in waits) * 4 <= DURATION


def test_a_lease_that_the_chart_made_empty_is_free(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    metadata = {"name": "assay-aggregator", "resourceVersion": "5"}
    store.lease = {"metadata": metadata, "spec": {}}
    lease = claim(api, "one", steps)
    lease.acquire()
    assert (lease.held(), lease.transitions, steps.now) == (True, 1, 0.0)


def test_a_standby_outlives_a_server_that_does_not_answer(
    api: KubeApi, store: LeaseStore, steps: SteppedTime
) -> None:
    first, second = claim(api, "one", steps), claim(api, "two", steps)
    first.acquire()
    store.lost = ["GET", "GET", "GET"]
    assert second.stand_by()
    assert (first.held(), second.held()) == (False, True)


def test_a_renewal_that_hangs_leaves_time_for_another() -> None:
    limits = timeouts_for(DURATION)
    hangs = limits.connect + limits.read
    renewal = DURATION / 4
    assert renewal + hangs + renewal + hangs / 2 <= DURATION
