"""The copy of watched objects: what changed, and whether our own writes are in it."""

from __future__ import annotations

import random

import pytest

from assay.domain.errors import CorruptError
from assay.kube.api import Event
from assay.kube.mirror import Mirror
from assay.kube.objects import KubeObject, ObjectMeta


def item(name: str, version: int, uid: str = "", **meta: str) -> KubeObject:
    return KubeObject(
        metadata=ObjectMeta(
            name=name,
            namespace="eval",
            uid=uid or f"uid-{name}",
            resource_version=str(version),
            **meta,
        )
    )


def happens(kind: str, name: str, version: int, uid: str = "", **meta: str) -> Event:
    return Event(kind, str(version), item(name, version, uid, **meta))


def mirror(version: int, *items: KubeObject) -> Mirror[KubeObject]:
    made: Mirror[KubeObject] = Mirror()
    made.replaced(items, str(version), made.listing())
    return made


def kinds(changes: list) -> list[tuple[str, str]]:
    return [(change.kind, change.object.metadata.name) for change in changes]


A = ("eval", "a")


def test_a_first_list_adds_everything_and_makes_it_synced() -> None:
    made: Mirror[KubeObject] = Mirror()
    assert not made.synced
    changes = made.replaced([item("a", 1), item("b", 2)], "5", made.listing())
    assert kinds(changes) == [("added", "a"), ("added", "b")]
    assert made.synced
    assert made.version == "5"


def test_a_later_list_tells_of_deletions_that_nobody_watched() -> None:
    made = mirror(5, item("a", 1), item("b", 2), item("c", 3))
    changes = made.replaced([item("b", 2), item("c", 8)], "9", made.listing())
    assert kinds(changes) == [("deleted", "a"), ("modified", "c")]
    assert made.get(A) is None


def test_a_list_with_another_object_of_the_same_name_deletes_and_adds() -> None:
    made = mirror(5, item("a", 1, "first"))
    changes = made.replaced([item("a", 8, "second")], "9", made.listing())
    assert kinds(changes) == [("deleted", "a"), ("added", "a")]
    assert changes[0].object.metadata.uid == "first"


def test_an_event_with_another_object_of_the_same_name_deletes_and_adds() -> None:
    made = mirror(5, item("a", 1, "first"))
    changes = made.applied(happens("MODIFIED", "a", 8, "second"))
    assert kinds(changes) == [("deleted", "a"), ("added", "a")]


def test_events_move_the_version_and_the_objects() -> None:
    made = mirror(5, item("a", 1))
    assert kinds(made.applied(happens("ADDED", "b", 6))) == [("added", "b")]
    assert kinds(made.applied(happens("MODIFIED", "a", 7))) == [("modified", "a")]
    assert kinds(made.applied(happens("DELETED", "a", 8))) == [("deleted", "a")]
    assert (made.version, [i.metadata.name for i in made.items()]) == ("8", ["b"])


def test_a_bookmark_moves_the_version_and_nothing_else() -> None:
    made = mirror(5, item("a", 1))
    assert made.applied(Event("BOOKMARK", "70", None)) == []
    assert made.version == "70"


def test_an_event_older_than_the_copy_changes_nothing() -> None:
    made = mirror(5, item("a", 4))
    assert made.applied(happens("MODIFIED", "a", 3)) == []
    assert made.applied(happens("DELETED", "a", 5)) == []
    assert made.get(A) == item("a", 4)


def test_versions_compare_as_numbers_and_not_as_text() -> None:
    made = mirror(9, item("a", 9))
    assert kinds(made.applied(happens("MODIFIED", "a", 10))) == [("modified", "a")]


def test_a_version_that_is_no_number_is_refused() -> None:
    with pytest.raises(CorruptError, match="resourceVersion 'x1'"):
        mirror(5).applied(Event("BOOKMARK", "x1", None))


def test_our_own_write_is_awaited_before_the_copy_is_trusted() -> None:
    made = mirror(5, item("a", 1))
    made.wrote(item("a", 8))
    assert not made.trusted(A)
    made.applied(happens("MODIFIED", "a", 7))
    assert not made.trusted(A)
    made.applied(happens("MODIFIED", "a", 8))
    assert made.trusted(A)


def test_a_write_that_was_seen_before_its_answer_came_is_not_awaited() -> None:
    made = mirror(5)
    made.applied(happens("ADDED", "a", 8))
    made.applied(happens("DELETED", "a", 9))
    made.wrote(item("a", 8))
    assert made.trusted(A)
    assert made.all_trusted


def test_a_write_to_one_object_leaves_the_others_trusted() -> None:
    made = mirror(5, item("a", 1), item("b", 2))
    made.wrote(item("a", 8))
    assert made.trusted(("eval", "b"))
    assert not made.all_trusted


def test_a_bookmark_past_our_write_makes_the_copy_trusted() -> None:
    made = mirror(5)
    made.wrote(item("a", 8))
    made.applied(Event("BOOKMARK", "8", None))
    assert made.trusted(A)


def test_an_earlier_write_does_not_shorten_the_wait_for_a_later_one() -> None:
    made = mirror(5)
    made.wrote(item("a", 9))
    made.wrote(item("a", 8))
    made.applied(Event("BOOKMARK", "8", None))
    assert not made.trusted(A)


def test_a_list_asked_for_before_our_write_does_not_stand_for_it() -> None:
    made = mirror(5)
    began = made.listing()
    made.wrote(item("a", 8))
    made.replaced([], "7", began)
    assert not made.trusted(A)


def test_a_list_after_a_restored_backup_counts_though_its_version_is_lower() -> None:
    made = mirror(100, item("a", 90))
    made.wrote(item("a", 110))
    made.replaced([item("a", 40)], "50", made.listing())
    assert made.trusted(A)
    assert kinds(made.applied(happens("MODIFIED", "a", 51))) == [("modified", "a")]


def test_an_object_we_deleted_is_not_trusted_until_its_end_is_seen() -> None:
    made = mirror(5, item("a", 1))
    made.deleted(A, "uid-a")
    assert not made.trusted(A)
    made.applied(happens("DELETED", "a", 6))
    assert made.trusted(A)


def test_an_object_we_deleted_is_trusted_again_once_it_is_being_deleted() -> None:
    made = mirror(5, item("a", 1))
    made.deleted(A, "uid-a")
    made.applied(happens("MODIFIED", "a", 6, deletion_timestamp="2026-01-01T00:00:00Z"))
    assert made.trusted(A)


def test_a_successor_of_an_object_we_deleted_is_trusted() -> None:
    made = mirror(5, item("a", 1, "first"))
    made.deleted(A, "first")
    made.applied(happens("ADDED", "a", 7, "second"))
    assert made.trusted(A)


def test_nothing_is_trusted_before_the_first_list() -> None:
    made: Mirror[KubeObject] = Mirror()
    assert not made.trusted(A)
    assert not made.all_trusted


def test_a_copy_that_lost_any_events_equals_the_world_after_a_list() -> None:
    for seed in range(200):
        chance = random.Random(seed)
        world: dict[str, KubeObject] = {}
        told: dict[str, str] = {}
        made = mirror(1)
        for version in range(2, 40):
            name = chance.choice("abcd")
            kind = "DELETED" if name in world and chance.random() < 0.4 else "ADDED"
            uid = world[name].metadata.uid if name in world else f"{name}{version}"
            event = happens(kind, name, version, uid)
            world.pop(name, None)
            if kind == "ADDED":
                world[name] = item(name, version, uid)
            lost = chance.random() < 0.3
            follow(told, [] if lost else made.applied(event))
        follow(told, made.replaced(world.values(), "40", made.listing()))
        assert {i.metadata.name: i for i in made.items()} == world
        assert told == {name: i.metadata.uid for name, i in world.items()}


def follow(told: dict[str, str], changes: list) -> None:
    """What one who only hears of changes believes to exist."""
    for change in changes:
        meta = change.object.metadata
        if change.kind == "deleted":
            assert told.pop(meta.name) == meta.uid
        elif change.kind == "added":
            assert told.setdefault(meta.name, meta.uid) == meta.uid
        else:
            assert told[meta.name] == meta.uid
