"""What a sealed child can and cannot do, attempt by attempt, with unsealed controls."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from assay.seal.launch import MIB, SealedJob, run_sealed
from support import seal_probe

BLOCKED = (
    "open_a_socket",
    "make_a_udp_socket",
    "read_a_key_file",
    "read_another_runs_folder",
    "write_outside",
    "link_a_key_file_into_the_own_folder",
    "follow_a_symlink_out",
    "change_a_mode_outside",
    "truncate_a_file_outside",
    "trace_the_parent",
    "read_the_parents_memory",
    "read_the_parents_environment",
    "read_the_own_proc",
    "signal_the_parent",
    "fork",
    "fork_by_clone",
    "run_a_program",
    "become_a_program",
    "raise_the_own_limits",
    "outlive_the_launcher",
    "enter_another_namespace",
    "load_a_bpf_program",
    "use_io_uring",
    "use_the_keyring",
    "hide_memory_in_a_file",
    "act_from_a_thread",
    "fill_memory",
    "fill_a_file",
)
ALLOWED = ("start_a_thread", "write_in_the_own_folder", "use_the_temporary_folder")
HARMLESS_UNSEALED = (
    "open_a_socket",
    "make_a_udp_socket",
    "read_a_key_file",
    "read_another_runs_folder",
    "follow_a_symlink_out",
    "change_a_mode_outside",
    "truncate_a_file_outside",
    "read_the_parents_environment",
    "read_the_own_proc",
    "signal_the_parent",
    "run_a_program",
    "hide_memory_in_a_file",
    "act_from_a_thread",
    "fill_memory",
    "fill_a_file",
    "write_outside",
)


@pytest.fixture
def facts(tmp_path):
    key_file = tmp_path / "home" / "key"
    other_run = tmp_path / "other-run"
    for folder in (key_file.parent, other_run, tmp_path / "work"):
        folder.mkdir()
    key_file.write_text("sk-secret")
    victim = tmp_path / "victim"
    victim.write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "key_file": str(key_file),
            "other_run": str(other_run),
            "victim": str(victim),
            "parent": os.getpid(),
            "port": server.getsockname()[1],
        }


def untouched(facts):
    return (
        Path(facts["victim"]).read_text() == "kept"
        and list(Path(facts["other_run"]).iterdir()) == []
    )


async def probe(workdir: Path, facts, names, *, unsealed=False):
    lines = []
    job = SealedJob(
        module="support.seal_probe",
        argv=tuple(names),
        workdir=workdir,
        stdin=json.dumps(facts).encode(),
        environment={"PYTHONPATH": str(Path(__file__).parents[2])},
        memory_limit_bytes=(16384 if unsealed else 1024) * MIB,
        file_limit_bytes=(256 if unsealed else 16) * MIB,
        time_limit_seconds=60,
        unsealed=unsealed,
    )
    result = await run_sealed(job, lines.append)
    for line in lines:
        if "probe" in line:
            print(f"{line['probe']}: {line['outcome']}")  # noqa: T201 - the list is the claim
    return result, lines


async def test_every_forbidden_attempt_of_a_sealed_child_fails(tmp_path, facts):
    result, lines = await probe(tmp_path / "work", facts, BLOCKED)
    outcomes = {line["probe"]: line["worked"] for line in lines[:-1]}
    assert outcomes == dict.fromkeys(BLOCKED, False)
    assert result.protections["seal"].startswith("landlock-")
    assert untouched(facts)


async def test_a_sealed_child_can_do_what_scoring_needs(tmp_path, facts):
    _, lines = await probe(tmp_path / "work", facts, ALLOWED)
    outcomes = {line["probe"]: line["worked"] for line in lines[:-1]}
    assert outcomes == dict.fromkeys(ALLOWED, True)


async def test_the_same_attempts_succeed_without_the_seal(tmp_path, facts):
    result, lines = await probe(
        tmp_path / "work", facts, HARMLESS_UNSEALED, unsealed=True
    )
    outcomes = {line["probe"]: line["worked"] for line in lines[:-1]}
    assert outcomes == dict.fromkeys(HARMLESS_UNSEALED, True)
    assert result.protections == {"seal": "none (asked for)"}


async def test_a_sealed_child_sees_no_variable_and_no_descriptor_of_its_launcher(
    tmp_path, facts, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("https_proxy", "http://proxy.invalid")
    _, lines = await probe(tmp_path / "work", facts, ())
    seen = set(lines[-1]["environment"])
    assert not seen & {"OPENAI_API_KEY", "https_proxy", "ASSAY_SEAL", "USER"}
    assert len(lines[-1]["fds"]) == 4


def test_the_control_probes_name_only_known_attempts():
    assert set(HARMLESS_UNSEALED) <= set(BLOCKED)
    assert all(callable(getattr(seal_probe, name)) for name in (*BLOCKED, *ALLOWED))
