"""SIGKILL of a worker, of the aggregator and of the controller in the middle of a run of 2,000 samples."""

import time
from collections import Counter

import pytest

from support.cluster_digits import evaluation

TABLE = "Digits2000"
SAMPLES = 2000
VICTIMS = {  # what is killed, and after so many questions
    "infer": ("worker", 300),
    "aggregator": ("aggregator", 700),
    "controller": ("controller", 1200),
}


@pytest.fixture(scope="module")
def survived(node, platform, digits, figure):
    """The run's name, the answers that were durable before each kill, and what had been asked by then."""
    digits.reset(pace=0.1)
    seats = {"digits-svm": {"replicas": 2}}
    file = evaluation(digits.base, TABLE)
    platform.submit("killed", file, placement={"models": seats})
    kept = {}
    for component, (container, after) in VICTIMS.items():
        kept |= before_the_kill(platform, digits, component, container, after)
    begun = time.monotonic()
    platform.wait("killed")
    figure(f"three kills: complete {time.monotonic() - begun:.0f} s after the last")
    return kept


def before_the_kill(platform, digits, component, container, after):
    """Kills one; what was durable just before, and how often each of that had been asked."""
    platform.until(
        f"{after} questions", lambda: sum(digits.asked().counts.values()) >= after
    )
    run_id = platform.run_id("killed")
    victim = platform.pods(component, running=True)[0]
    durable = platform.durable(run_id)
    asked = digits.asked().counts
    platform.kill(victim, container)
    return {key: asked[key] for key in durable}


def test_killed_parts_change_no_byte(survived, platform, here):
    found = platform.results(platform.run_id("killed"))
    assert found == here.results(TABLE)


def test_no_answer_that_was_durable_is_asked_for_again(survived, digits, figure):
    asked = digits.asked().counts
    assert len(asked) == SAMPLES
    again = {key: n for key, n in survived.items() if asked[key] != n}
    assert len(survived) > 500
    assert again == {}
    often = Counter(asked.values())
    figure(f"three kills, {SAMPLES} samples: asked so often {dict(often)}")
    # Only what was in flight at a kill, at most `nproc`, and what had not reached the store.
    assert sum(n - 1 for n in asked.values()) < 100


def test_each_part_came_back_once(survived, platform):
    restarts = {
        component: platform.pods(component)[0]["status"]["containerStatuses"][0]
        for component in ("aggregator", "controller")
    }
    assert {c: s["restartCount"] for c, s in restarts.items()} == {
        "aggregator": 1,
        "controller": 1,
    }
