"""The cluster is what tests take it for: names, Services, GPUs, Pod Security, and policies that bite."""

import time

import pytest

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def three(namespace):
    """Two pods that may call and one that answers."""
    namespace.server("server")
    namespace.pod("good", SLEEP)
    namespace.pod("bad", SLEEP)
    namespace.ready("server", "good", "bad")
    return namespace


def seen(namespace, wanted):
    """What both callers see of the server, once it is as wanted or ten seconds have passed."""
    until = time.monotonic() + 10
    while True:
        now = {name: namespace.reaches(name, "server") for name in ("good", "bad")}
        if now == wanted or time.monotonic() > until:
            return now


def policy(name, **spec):
    """A policy about the server."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "server"}}, **spec},
    }


def test_policies_shut_and_open_what_they_say(three):
    assert seen(three, both := {"good": "open", "bad": "open"}) == both
    three.apply(policy("closed", policyTypes=["Ingress"]))
    assert seen(three, none := {"good": "shut", "bad": "shut"}) == none
    chosen = {"podSelector": {"matchLabels": {"app": "good"}}}
    three.apply(policy("open", ingress=[{"from": [chosen]}]))
    assert seen(three, one := {"good": "open", "bad": "shut"}) == one


def test_a_pod_that_wants_more_gpus_than_there_are_waits(namespace):
    namespace.pod("two", SLEEP, **{"nvidia.com/gpu": "2"})
    namespace.ready("two")
    namespace.pod("one-more", SLEEP, **{"nvidia.com/gpu": "1"})
    said = namespace.kubectl(
        "wait", "pod/one-more", "--for=condition=PodScheduled=False", "--timeout=30s"
    )
    assert "condition met" in said
    namespace.kubectl("delete", "pod/two", "--wait=true")
    namespace.ready("one-more")


def test_a_pod_that_is_not_restricted_is_refused(namespace):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "loose"},
        "spec": {"containers": [{"name": "main", "image": "localhost/pause:1"}]},
    }
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        namespace.apply(pod)
