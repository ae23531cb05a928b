"""What a launcher is told when a child breaks a limit, ends badly, or does not seal itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from assay.domain.errors import SealError, UnavailableError
from assay.seal.launch import SealedJob, run_sealed

SEAL = "from assay.seal.child import seal, read_input\n"


async def run(tmp_path, code, *, on_line=lambda _line: None, document=None, **limits):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "sealed_test_module.py").write_text(SEAL + code)
    (tmp_path / "work").mkdir()
    job = SealedJob(
        module="sealed_test_module",
        workdir=tmp_path / "work",
        environment={"PYTHONPATH": str(tmp_path / "library")},
        **{"time_limit_seconds": 60} | limits,
    )
    return await run_sealed(job, on_line, document)


async def test_lines_arrive_in_order_and_the_document_is_read_after_the_seal(tmp_path):
    lines = []
    code = (
        "o = seal()\nfor i in range(3): o.send({'i': i, 'got': read_input().decode()})"
    )
    await run(tmp_path, code, on_line=lines.append, stdin=b"hello")
    assert lines == [
        {"i": 0, "got": "hello"},
        {"i": 1, "got": ""},
        {"i": 2, "got": ""},
    ]


async def test_a_child_seals_itself_while_its_document_is_still_on_the_way(tmp_path):
    sealed, lines = asyncio.Event(), []

    def take(line):
        lines.append(line)
        sealed.set()

    async def document():
        await sealed.wait()
        return b"late"

    code = "o = seal()\no.send({'ready': 1})\no.send({'got': read_input().decode()})"
    await run(tmp_path, code, on_line=take, document=document())
    assert lines == [{"ready": 1}, {"got": "late"}]


async def test_a_child_that_ends_before_its_document_comes_is_not_waited_for(tmp_path):
    never = asyncio.get_running_loop().create_future()
    with pytest.raises(SealError, match="exit code 7"):
        await run(tmp_path, "seal()\nraise SystemExit(7)", document=never)


async def test_a_document_that_cannot_be_had_ends_the_child_and_is_the_error(tmp_path):
    async def document():
        raise UnavailableError("the sender is gone")

    with pytest.raises(UnavailableError, match="the sender is gone"):
        await run(tmp_path, "seal()\nread_input()", document=document())


async def test_a_child_over_its_time_is_killed(tmp_path):
    with pytest.raises(SealError, match="killed after 3 s"):
        await run(tmp_path, "seal()\nwhile True: pass", time_limit_seconds=3)


async def test_a_child_that_talks_too_much_is_killed(tmp_path):
    code = "o = seal()\nwhile True: o.send({'x': 'y' * 1000})"
    with pytest.raises(SealError, match="sent more than 100000 bytes"):
        await run(tmp_path, code, output_limit_bytes=100_000)


async def test_a_child_that_fills_its_folder_is_killed(tmp_path):
    code = (
        "seal()\nn = 0\nwhile True:\n n += 1\n with open(f'f{n}', 'wb') as s:"
        " s.write(bytes(100000))\n import time; time.sleep(0.01)"
    )
    with pytest.raises(SealError, match="wrote more than 1000000 bytes"):
        await run(tmp_path, code, disk_limit_bytes=1_000_000)


async def test_a_childs_bad_end_quotes_the_last_thing_it_printed(tmp_path):
    with pytest.raises(SealError, match="exit code 1: ValueError: no such thing"):
        await run(tmp_path, "seal()\nraise ValueError('no such thing')")


async def test_a_killed_childs_signal_is_named(tmp_path):
    code = "import os, signal\nseal()\nos.kill(os.getpid(), signal.SIGSEGV)"
    with pytest.raises(SealError, match="ended by SIGSEGV"):
        await run(tmp_path, code)


async def test_a_child_that_speaks_before_sealing_itself_is_not_believed(tmp_path):
    code = "import json, os\nfd = json.loads(os.environ['ASSAY_SEAL'])['descriptor']\n"
    code += "os.write(fd, b'{\"verdict\": 1}\\n')"
    with pytest.raises(SealError, match="spoke before sealing itself"):
        await run(tmp_path, code)


async def test_a_child_that_never_seals_itself_is_no_success(tmp_path):
    with pytest.raises(SealError, match="ended without sealing itself"):
        await run(tmp_path, "pass")


async def test_a_child_with_threads_refuses_to_seal(tmp_path):
    code = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\nseal()"
    )
    with pytest.raises(SealError, match="2 threads cannot be sealed"):
        await run(tmp_path, code)


async def test_an_error_of_the_listener_ends_the_child_and_is_raised(tmp_path):
    def refuse(_line):
        raise KeyError("not expected")

    with pytest.raises(KeyError, match="not expected"):
        await run(tmp_path, "o = seal()\nwhile True: o.send({})", on_line=refuse)


async def test_nothing_of_a_child_is_left_open(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))  # noqa: ASYNC240 - /proc
    await run(tmp_path, "seal()")
    assert len(list(Path("/proc/self/fd").iterdir())) == before  # noqa: ASYNC240
