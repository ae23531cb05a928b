"""Disks that are full: said in words, nothing lost, and the run goes on once there is room."""

import subprocess

import pytest

from support.local_runs import reproducible

pytestmark = pytest.mark.e2e

COUNT = 300


@pytest.fixture
def small_disk(tmp_path):
    """A run's folder on a file system of its own, made with a size and given another."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", place]
        subprocess.run(command, check=True, capture_output=True, timeout=10)

    def made(size):
        try:
            mount(f"size={size}")
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small file system is not allowed here")
        return place / "run"

    yield made, lambda size: mount("remount", f"size={size}")
    subprocess.run(["umount", "-l", place], check=False, timeout=10)


def test_a_run_waits_for_room_and_asks_nothing_again(desk, stub, tmp_path, small_disk):
    user, (made, grow) = desk(count=COUNT), small_disk
    assert user.run(tmp_path / "clean").returncode == 0
    stub.asked.clear()
    run_dir = made("48k")
    process = user.start("run", user.file, "--run-dir", run_dir)
    said = _line_with("No space left", process.stderr)
    assert said.startswith("notice: cannot write ")
    assert "make room" in said
    grow("20m")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "notice: answers can be kept again" in err
    assert set(stub.asked.values()) == {1}
    assert reproducible(run_dir) == reproducible(tmp_path / "clean")


def test_a_score_that_finds_no_room_ends_the_run_in_words(desk, stub, small_disk):
    user, (made, grow) = desk(count=COUNT), small_disk
    run_dir = made("20m")
    process = user.start("run", user.file, "--run-dir", run_dir)
    _line_with(": inferred", process.stderr)
    grow(f"{_used(run_dir)}k")
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "No space left on device" in err
    assert "exit code 1\n" not in err
    assert "--resume" in err
    grow("20m")
    stub.asked.clear()
    assert user.run(run_dir, "--resume").returncode == 0
    assert stub.requests == 0


def _line_with(words, stream):
    return next((line for line in stream if words in line), "")


def _used(folder):
    """Kilobytes that are taken, and room for what is still on its way."""
    shown = subprocess.run(
        ["df", "-k", "--output=used", folder],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(shown.stdout.split()[-1]) + 12
