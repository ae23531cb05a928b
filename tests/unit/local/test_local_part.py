"""A supervised place for a process, with real processes."""

import asyncio
import json
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from assay.domain.observed import Ending, Presence
from assay.local.part import Part, _unsaid
from assay.process.contract import ProcessConfig, document_of

PROLOGUE = """
import os, sys, json, signal, time
fd = int(sys.argv[sys.argv.index("--config-fd") + 1])
config = json.load(os.fdopen(fd))
"""


@pytest.fixture
def part_of(tmp_path, monkeypatch):
    """Makes a part of a module with this body."""

    def make(body, *, serves=False):
        (tmp_path / "acted.py").write_text(PROLOGUE + body)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        part = Part(
            module="acted",
            journal=tmp_path / "acted.log",
            serves=serves,
            changed=lambda: None,
            progress=lambda: 7,
        )
        part.start(lambda fd: ProcessConfig(token=SecretStr("t0ken"), ready_fd=fd))
        return part

    return make


async def test_a_process_gets_its_config_by_descriptor_and_nothing_by_argument(part_of):
    part = part_of("sys.exit(0 if config['token'] == 't0ken' not in sys.argv else 1)")
    await part.gone()
    assert part.view.deaths[0].ending is Ending.DONE
    assert part.view.presence is Presence.ABSENT


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (1, Ending.CRASHED),
        (2, Ending.REFUSED),
        (4, Ending.HELD),
        (75, Ending.MUST_GO),
        (99, Ending.CRASHED),
    ],
)
async def test_exit_codes_say_how_it_ended(part_of, code, ending):
    part = part_of(f"sys.exit({code})")
    await part.gone()
    (death,) = part.view.deaths
    assert (death.ending, death.progress) == (ending, 7)
    assert death.message == f"exit code {code}"


async def test_last_words_come_from_the_journal_of_this_life(part_of):
    part = part_of("raise RuntimeError('the moon is full')")
    await part.gone()
    assert part.view.deaths[0].message == "RuntimeError: the moon is full"


def test_a_silent_death_is_explained_where_its_log_found_no_room(tmp_path):
    assert _unsaid(tmp_path / "acted.log") == ""
    # A file system that never has room.
    assert "no room is left" in _unsaid(Path("/proc/acted.log"))


async def test_a_service_is_ready_when_it_says_so(part_of):
    part = part_of(
        "os.write(config['ready_fd'], b'{}\\n'); os.close(config['ready_fd'])\n"
        "time.sleep(60)",
        serves=True,
    )
    assert part.view.presence is Presence.STARTING
    await _until(lambda: part.view.presence is Presence.READY)
    part.kill()
    await part.gone()
    assert part.view.deaths[0].message == "killed by SIGKILL"


async def test_what_a_killed_process_had_started_goes_with_it(part_of, tmp_path):
    part = part_of(
        "import subprocess\n"
        f"child = subprocess.Popen([{sys.executable!r}, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    await part.gone()
    child = int((tmp_path / "pid").read_text())
    await _until(lambda: _gone(child))


def _gone(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rsplit(")", 1)[1].split()[0] == "Z"


async def _until(holds):
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - another process decides when
            await asyncio.sleep(0.01)


async def test_terminating_gives_it_time_to_finish(part_of):
    part = part_of(
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "os.write(config['ready_fd'], b'{}\\n')\ntime.sleep(60)",
        serves=True,
    )
    await _until(lambda: part.view.presence is Presence.READY)
    part.terminate()
    await part.gone()
    assert part.view.deaths[0].ending is Ending.MUST_GO


async def test_a_place_holds_one_process_at_a_time(part_of):
    part = part_of("time.sleep(60)")
    part.start(lambda _: pytest.fail("started twice"))
    await asyncio.sleep(0)
    part.kill()
    while not part.view.deaths:
        part.kill()
        await asyncio.sleep(0.01)
    assert part.incarnation == 1


def test_the_document_reveals_what_the_process_needs():
    document = json.loads(document_of(ProcessConfig(token=SecretStr("s3cret"))))
    assert document["token"] == "s3cret"
