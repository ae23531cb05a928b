"""A process of ours is told everything by descriptor and says when it is ready."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from assay.domain.errors import ConfigError
from assay.process.contract import (
    ExitCode,
    ProcessConfig,
    announce_ready,
    load_config,
)


def write_pipe(document: str) -> int:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        stream.write(document)
    return reader


def test_config_is_read_from_a_descriptor() -> None:
    fd = write_pipe('{"token": "t0ken"}')
    config = load_config(ProcessConfig, ["--config-fd", str(fd)])
    assert config.token.get_secret_value() == "t0ken"


def test_config_is_read_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"token": "t0ken"}')
    config = load_config(ProcessConfig, ["--config", str(file)])
    assert config.token.get_secret_value() == "t0ken"


def test_a_bad_config_names_the_field_and_never_quotes_the_secret() -> None:
    fd = write_pipe('{"token": "sk-secret", "colour": "sk-secret"}')
    with pytest.raises(ConfigError, match="colour") as failure:
        load_config(ProcessConfig, ["--config-fd", str(fd)])
    assert "sk-secret" not in str(failure.value)


def test_readiness_names_the_address_and_closes_the_pipe() -> None:
    reader, writer = os.pipe()
    announce_ready(ProcessConfig(token="t", ready_fd=writer), "127.0.0.1:4711")
    with os.fdopen(reader) as stream:
        assert json.loads(stream.read()) == {"address": "127.0.0.1:4711"}


GRANDCHILD = """
import sys, time
from assay.process.contract import die_with_parent
die_with_parent()
print("ready", flush=True)
time.sleep(60)
"""

CHILD = f"""
import subprocess, sys, os
child = subprocess.Popen([sys.executable, "-c", {GRANDCHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def ended(pid: int, within: float) -> bool:
    """Whether a process that is not our child ends in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)


def test_a_process_tied_to_its_parent_dies_when_the_parent_is_killed() -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert ended(int(child.stdout), within=30)


AS_FIRST_PROCESS = """
import subprocess, sys
tied = "from assay.process.contract import die_with_parent; die_with_parent({})"
for parent in ("1", ""):
    command = [sys.executable, "-c", tied.format(parent)]
    print(subprocess.run(command).returncode, flush=True)
"""


def test_a_parent_that_is_the_first_process_of_a_container_is_not_taken_for_gone() -> (
    None
):
    command = ["unshare", "--map-root-user", "--fork", "--pid"]
    done = subprocess.run(
        [*command, sys.executable, "-c", AS_FIRST_PROCESS],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["0", str(int(ExitCode.RETRY))]
