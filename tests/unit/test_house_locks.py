"""The locks in requirements/ fit what they lock, as far as that can be seen without a package index."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


def pins(lock: str) -> dict[str, str]:
    """Package -> version of a lock."""
    lines = (LOCKS / f"{lock}.txt").read_text().splitlines()
    found = (match for line in lines if (match := PIN.match(line)))
    return {canonicalize_name(m[1]): m[2] for m in found}


def asked(path: Path) -> Iterator[Requirement]:
    """What a `.in` file asks for."""
    for line in path.read_text().splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            yield from asked(LOCKS / text.removeprefix("-r "))
        elif text:
            yield Requirement(text)


def asked_at_run_time() -> Iterator[Requirement]:
    """What pyproject.toml asks for, and what scoring needs beside it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    yield from map(Requirement, project["dependencies"])
    yield from asked(LOCKS / "scoring.in")


def missing(wanted: Iterator[Requirement], locked: dict[str, str]) -> list[str]:
    """Requirements that a lock does not meet."""
    here = [each for each in wanted if each.marker is None or each.marker.evaluate()]
    versions = [locked.get(canonicalize_name(each.name)) for each in here]
    return [
        str(each)
        for each, version in zip(here, versions, strict=True)
        if version is None or not each.specifier.contains(version, prereleases=True)
    ]


def test_the_runtime_lock_meets_what_pyproject_and_scoring_ask_for() -> None:
    assert missing(asked_at_run_time(), pins("runtime")) == [], "run `make lock`"


@pytest.mark.parametrize(
    "lock", ["build", "charts", "digits", "example", "dev", "peer", "vlmeval", "worker"]
)
def test_every_other_lock_meets_what_its_input_asks_for(lock: str) -> None:
    assert missing(asked(LOCKS / f"{lock}.in"), pins(lock)) == [], "run `make lock`"


def test_no_two_locks_disagree_about_a_version() -> None:
    seen: dict[str, dict[str, str]] = {}
    # What looks at the chart shares no process with anything else, and asks for old versions.
    for path in sorted(set(LOCKS.glob("*.txt")) - {LOCKS / "charts.txt"}):
        for package, version in pins(path.stem).items():
            seen.setdefault(package, {})[path.name] = version
    torn = {p: v for p, v in seen.items() if len(set(v.values())) > 1}
    assert torn == {}, "run `make lock`"


def test_every_locked_package_is_held_to_its_hashes() -> None:
    bare = [
        f"{path.name}:{number}: {line}"
        for path in sorted(LOCKS.glob("*.txt"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if PIN.match(line) and not line.rstrip().endswith("\\")
    ]
    assert bare == []
