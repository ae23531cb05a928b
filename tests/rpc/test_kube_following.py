"""One object is followed through everything a watch can do, and nothing is told twice."""

import pytest

from assay.domain.errors import (
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from assay.kube.following import follow
from assay.kube.objects import KubeObject
from assay.kube.resources import EVAL_RUNS
from support.scripted_api import (
    api_to,
    event,
    gives,
    page,
    refuses,
    scripted_api,
    streams,
    thing,
)


@pytest.fixture
def api():
    with scripted_api() as server:
        yield server, api_to(server)


def versions(api, count, seconds=None):
    """The versions of the first so many things that are told."""
    found = follow(api, EVAL_RUNS, "a", "eval", of=KubeObject, seconds=seconds)
    return [next(found).metadata.resource_version for _ in range(count)]


def test_changes_of_the_object_are_told_and_those_of_others_are_not(api):
    server, client = api
    server.on("list", gives(page(5, thing("a", 3), thing("b", 4))))
    changes = (event("MODIFIED", thing(name, v)) for name, v in (("b", 6), ("a", 7)))
    server.on("watch", streams(*changes, then="silence"))
    assert versions(client, 2) == ["3", "7"]


@pytest.mark.parametrize("then", ["end", "cut"])
def test_a_watch_that_ends_is_taken_up_again_and_tells_nothing_twice(api, then):
    server, client = api
    lists = (gives(page(3, thing("a", 3))), gives(page(7, thing("a", 7))))
    server.on("list", *lists)
    told = event("MODIFIED", thing("a", 7))
    later = event("MODIFIED", thing("a", 9))
    server.on("watch", streams(told, then=then), streams(later, then="silence"))
    assert versions(client, 3) == ["3", "7", "9"]


def test_a_version_that_is_forgotten_and_a_server_that_is_away_are_waited_out(api):
    server, client = api
    answers = (
        gives(page(3, thing("a", 3))),
        refuses(500),
        gives(page(9, thing("a", 9))),
    )
    server.on("list", *answers)
    server.on("watch", refuses(410), streams(then="silence"))
    assert versions(client, 2) == ["3", "9"]


def test_an_object_that_is_deleted_or_was_never_there_ends_it(api):
    server, client = api
    server.on("list", gives(page(3, thing("a", 3))))
    gone = event("DELETED", thing("a", 4))
    server.on("watch", streams(gone, then="silence"))
    with pytest.raises(NotFoundError, match="was deleted"):
        versions(client, 2)
    server.on("list", gives(page(3, thing("b", 3))))
    with pytest.raises(NotFoundError, match="there is no"):
        versions(client, 1)


def test_who_may_not_look_is_told_at_once(api):
    server, client = api
    server.on("list", refuses(403))
    with pytest.raises(PermissionDeniedError, match="list evalruns"):
        versions(client, 1)


def test_the_time_that_was_given_ends_it(api):
    server, client = api
    server.on("list", gives(page(3, thing("a", 3))))
    server.on("watch", streams(then="end"))
    with pytest.raises(UnavailableError, match="after 1 s"):
        versions(client, 2, seconds=1)
