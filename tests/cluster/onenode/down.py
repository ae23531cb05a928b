"""Takes a cluster away, whatever state it was left in: nothing of it may spoil the next one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from cluster.onenode import network, processes
from cluster.onenode.place import NAMESPACE, Place


def down(place: Place) -> None:
    """Ends every process, unmounts what stands below the folder, removes it and the namespace."""
    place.ready.unlink(missing_ok=True)
    # The kubelet first: it would start containers again.
    for name in processes.names(place):
        if name != "containerd":
            processes.stop(place, name)
    for pid in list(processes.shims_of(place)):
        processes.kill_tree(pid)
    processes.stop(place, "containerd")
    for pid in _forgotten(place):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for mount in _mounts(place):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    network.remove()
    _remove_cgroups()
    _remove_links(place)
    if place.root.exists():
        shutil.rmtree(place.root)


def _forgotten(place: Place) -> list[int]:
    """Servers whose starter was killed before it wrote their id down."""
    handle = Path("/run/netns") / NAMESPACE
    if not handle.exists():
        return []
    inode = handle.stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                theirs = (entry / "ns" / "net").stat().st_ino == inode
                if theirs and (entry / "cwd").readlink() == place.root:
                    found.append(int(entry.name))
    return found


def _mounts(place: Place) -> list[str]:
    """Mount points below the folder, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    below = [p for p in points if p.startswith(f"{place.root}/")]
    return sorted(below, key=len, reverse=True)


def _remove_links(place: Place) -> None:
    """Names under which a kubelet offers the logs of its pods to collectors."""
    for link in Path("/var/log/containers").glob("*.log"):
        if link.is_symlink() and link.readlink().is_relative_to(place.root):
            link.unlink()


def _remove_cgroups() -> None:
    """Empty groups of former pods; those of a kubelet that lives are not empty and stay."""
    for top in Path("/sys/fs/cgroup").glob("**/kubepods"):
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()
