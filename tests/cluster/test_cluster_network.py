"""What the chart's NetworkPolicies leave open between the parts of a release, and what they shut."""

import time

import pytest

from support.cluster_doors import doors, stand_in, targets

ANYWHERE = {"API server", "name server", "model"}
OPEN = {
    "infer": {"aggregator", "store", *ANYWHERE},
    "judge": {"aggregator", "store", *ANYWHERE},
    "scorer": {"aggregator"},
    "controller": {"aggregator", "dataset", "API server", "name server"},
    "aggregator": {"store", "API server", "name server"},
    "dataset": {"store", *ANYWHERE},
    "a pod of no release": ANYWHERE,
    "a worker of another release": ANYWHERE,
    "a pod of another namespace": ANYWHERE,
}
STAND_INS = ("infer", "judge", "scorer", "controller")


@pytest.fixture(scope="module")
def seen(platform, digits, figure):
    """What each sees of each."""
    own = platform.namespace
    names = {part: stand_in(own, "demo", part) for part in STAND_INS}
    names["a worker of another release"] = stand_in(own, "other", "infer")
    own.server("stranger")
    names["a pod of no release"] = "stranger"
    own.ready(*names.values())
    for part in ("aggregator", "dataset"):
        names[part] = platform.pods(part)[0]["metadata"]["name"]
    wanted = targets(platform, digits.namespace, names["infer"])
    until = time.monotonic() + 30
    while True:
        found = {
            part: doors(own, pod, others(part, wanted)) for part, pod in names.items()
        }
        found["a pod of another namespace"] = doors(
            digits.namespace, "digits", wanted[:-2] + wanted[-1:]
        )
        if opened(found) == expected(found) or time.monotonic() > until:
            break
    for part, told in opened(found).items():
        shut = sorted(set(found[part]) - told)
        figure(f"{part}: open {sorted(told)}, shut {shut}")
    own.kubectl(
        "delete",
        "pod",
        *(n for n in names.values() if n.endswith("-door")),
        "--wait=false",
    )
    return found


def others(part, wanted):
    """Not itself: nothing shuts a pod's way to its own address."""
    return [
        t
        for t in wanted
        if t[0] != part and not (part == "infer" and t[0] == "a worker")
    ]


def opened(found):
    return {
        part: {to for to, how in told.items() if how == "open"}
        for part, told in found.items()
    }


def expected(found):
    return {part: OPEN[part] & set(told) for part, told in found.items()}


def test_what_is_open_is_what_each_part_needs(seen):
    assert opened(seen) == expected(seen)


def test_everything_else_is_shut_without_a_word(seen):
    answers = {how for told in seen.values() for how in told.values()}
    assert answers == {"open", "shut"}
