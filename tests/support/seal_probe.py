"""A hostile module: run as a sealed child, it tries what it must not and reports each outcome.

`python -m support.seal_probe NAME...` as a sealed job; `attempt(name, facts)` is the unsealed control.
"""

# The attempts are made as an attacker would write them.
# ruff: noqa: PTH101, PTH208, PTH211, PLC0415

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path


def open_a_socket(facts):
    with socket.create_connection(("127.0.0.1", facts["port"]), timeout=5):
        return "connected"


def make_a_udp_socket(_facts):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    return "made"


def read_a_key_file(facts):
    return Path(facts["key_file"]).read_text()


def read_another_runs_folder(facts):
    return str(os.listdir(facts["other_run"]))


def write_outside(facts):
    Path(facts["other_run"], "planted").write_text("x")
    return "written"


def link_a_key_file_into_the_own_folder(facts):
    os.link(facts["key_file"], "stolen")
    return Path("stolen").read_text()


def follow_a_symlink_out(facts):
    os.symlink(facts["key_file"], "symlink")
    return Path("symlink").read_text()


def change_a_mode_outside(facts):
    os.chmod(facts["key_file"], 0o644)
    return "changed"


def truncate_a_file_outside(facts):
    os.truncate(facts["victim"], 0)
    return "truncated"


def _syscall(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "done"


def trace_the_parent(facts):
    return _syscall(101, 16, facts["parent"], 0, 0)  # PTRACE_ATTACH


def read_the_parents_memory(facts):
    local = ctypes.create_string_buffer(8)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(local), 8)
    return _syscall(310, facts["parent"], vector, 1, vector, 1, 0)


def read_the_parents_environment(facts):
    return str(Path(f"/proc/{facts['parent']}/environ").stat()) and str(
        Path(f"/proc/{facts['parent']}/environ").read_bytes()[:10]
    )


def read_the_own_proc(_facts):
    return Path("/proc/self/maps").read_text()[:10]


def signal_the_parent(facts):
    os.kill(facts["parent"], 0)
    return "signalled"


def fork(_facts):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "forked"


def fork_by_clone(_facts):
    _syscall(56, signal.SIGCHLD, 0, 0, 0, 0)
    return "cloned"


def run_a_program(_facts):
    return subprocess.run(["/bin/true"], check=True).returncode


def become_a_program(_facts):
    os.execv("/bin/true", ["true"])


def raise_the_own_limits(_facts):
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    return "raised"


def outlive_the_launcher(_facts):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(1, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return "will outlive"


def enter_another_namespace(_facts):
    return _syscall(272, 0x10000000)  # unshare(CLONE_NEWUSER)


def load_a_bpf_program(_facts):
    return _syscall(321, 0, 0, 0)


def use_io_uring(_facts):
    return _syscall(425, 1, ctypes.create_string_buffer(120))


def use_the_keyring(_facts):
    return _syscall(250, 0, -3, 0)


def hide_memory_in_a_file(_facts):
    os.memfd_create("x")
    return "made"


def fill_memory(_facts):
    hoard = [bytearray(64 * 1024 * 1024) for _ in range(20)]
    return f"got {len(hoard) * 64} MiB"


def fill_a_file(_facts):
    # The signal that comes with the limit is not what is probed.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Path("big").open("wb") as stream:
        stream.writelines(bytes(1024 * 1024) for _ in range(64))
    return "written"


def start_a_thread(_facts):
    done = []
    thread = threading.Thread(target=lambda: done.append(1))
    thread.start()
    thread.join()
    return "ran"


def act_from_a_thread(facts):
    found = []

    def look():
        try:
            found.append(Path(facts["key_file"]).read_text())
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def write_in_the_own_folder(_facts):
    Path("mine").write_text("x")
    return Path("mine").read_text()


def use_the_temporary_folder(_facts):
    import tempfile

    with tempfile.NamedTemporaryFile() as stream:
        return f"made below {Path(stream.name).parent.name}"


def attempt(name, facts):
    """(whether it worked, what came of it)."""
    try:
        return True, str(globals()[name](facts))
    except (OSError, MemoryError, ValueError, subprocess.SubprocessError) as error:
        return False, f"{type(error).__name__}: {error}"


def main():
    from assay.seal.child import read_input, seal

    outlet = seal()
    facts = json.loads(read_input())
    for name in sys.argv[1:]:
        worked, outcome = attempt(name, facts)
        outlet.send({"probe": name, "worked": worked, "outcome": outcome})
    outlet.send({"environment": sorted(os.environ), "fds": _open_descriptors()})


def _open_descriptors():
    found = []
    for number in range(64):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.append(number)
    return found


if __name__ == "__main__":
    main()
