"""`helm upgrade` of an evaluation: another dataset, back again, suspended; nothing is paid for twice."""

import pytest

from support.cluster_digits import evaluation

FIRST, SECOND = ("Digits60",), ("Digits60", "Backwards60")


@pytest.fixture(scope="module")
def history(release, digits, figure):
    """A, then B with one dataset more, then A: the execution, its results and what was asked, each time."""
    told = []
    for step, tables in enumerate((FIRST, SECOND, FIRST)):
        digits.reset()
        values = evaluation(digits.base, *tables)
        (release.upgrade if step else release.install)(**values)
        release.wait()
        run_id = release.run_id()
        told.append((run_id, release.results(run_id), digits.asked()))
    figure(f"A, B, A: questions asked {[sum(t[2].counts.values()) for t in told]}")
    return told


def test_another_dataset_adopts_what_is_finished(history, here):
    (first, was, _), (second, found, asked), _ = history
    assert first != second
    assert asked.of("Digits60") == {}
    assert len(asked.of("Backwards60")) == 60
    assert asked.twice == {}
    assert was == here.results(*FIRST)
    assert found == here.results(*SECOND)


def test_former_results_stay_and_the_way_back_asks_nothing(history, release):
    (first, was, _), (second, then, _), (third, again, asked) = history
    assert third == first
    assert again == was
    assert asked.counts == {}
    assert release.results(second) == then
    told = {e["runId"]: e["state"] for e in release.status()["executions"]}
    assert told == {first: "Complete", second: "Complete"}
    assert release.condition("Complete")["reason"] == "AlreadyComplete"


def test_a_suspended_run_has_no_pods_and_goes_on(history, release, digits, here):
    digits.reset(pace=1.0)
    values = evaluation(digits.base, "Digits240")
    release.upgrade(**values)
    release.until("it answers", lambda: digits.asked().counts)
    release.upgrade(**values, suspend=True)
    release.wait(condition="Suspended")
    release.until("no worker is left", lambda: not release.pods("infer"))
    assert len(digits.asked().counts) < 240
    digits.reset()
    release.upgrade(**values)
    release.wait()
    assert release.results(release.run_id()) == here.results("Digits240")
    assert {"Suspended", "Resumed", "Superseded"} <= set(release.events())
