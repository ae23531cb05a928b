"""Which system calls a sealed child may not make, and the filter that says so to the kernel.

A deny list over a file-rule sandbox: Landlock decides which files can be opened, this decides what can
be done besides opening files. The list also covers what older Landlock versions leave open (truncating
and signalling), so that kernels from 5.13 on give the same protection.
"""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

from assay.domain.errors import SealError

_NETWORK = (
    "accept accept4 bind connect listen socket socketpair recvfrom recvmmsg recvmsg sendmmsg sendmsg "
    "sendto"
)
_OTHER_PROCESSES = (
    "kcmp migrate_pages move_pages perf_event_open pidfd_getfd pidfd_open pidfd_send_signal "
    "process_madvise process_mrelease process_vm_readv process_vm_writev ptrace rt_sigqueueinfo "
    "rt_tgsigqueueinfo sched_setaffinity sched_setattr sched_setparam sched_setscheduler setpriority "
    "tkill"
)
_NEW_PROCESSES = "execve execveat fork vfork"
_KERNEL = (
    "acct add_key bpf chroot delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick "
    "init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kexec_file_load "
    "kexec_load keyctl lookup_dcookie mount mount_setattr move_mount name_to_handle_at "
    "open_by_handle_at open_tree pivot_root quotactl quotactl_fd reboot request_key setdomainname "
    "sethostname setns settimeofday swapoff swapon syslog umount2 unshare userfaultfd vhangup"
)
_METADATA = (
    "chmod chown fchmod fchmodat fchmodat2 fchown fchownat fremovexattr fsetxattr futimesat lchown "
    "lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat truncate utime utimes"
)
"""Landlock says nothing about attributes, and nothing about truncation before 6.2."""
_SHARED_MEMORY = "memfd_create memfd_secret mq_open msgget semget shmat shmctl shmget"
_IDENTITY = "setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setrlimit setuid"

DENIED: tuple[str, ...] = tuple(
    f"{_NETWORK} {_OTHER_PROCESSES} {_NEW_PROCESSES} {_KERNEL} {_METADATA} "
    f"{_SHARED_MEMORY} {_IDENTITY}".split()
)
"""Refused with EPERM whatever their arguments."""

_CLONE_THREAD = 0x00010000
_PR_SET_PDEATHSIG = 1


def load_library() -> Any:
    """The binding to libseccomp; finding it takes files and a process, so it comes before the seal.

    Raises:
        SealError: this machine has no libseccomp.
    """
    try:
        import pyseccomp  # noqa: PLC0415 - only sealed children need libseccomp
    except (ImportError, OSError, RuntimeError) as error:
        raise SealError(
            f"the system-call filter's library cannot be loaded: {error}",
            cure="install libseccomp (package libseccomp2 or libseccomp), or say --unsealed",
        ) from error
    return pyseccomp


def refuse_system_calls(pyseccomp: Any) -> None:
    """Puts the filter in force, for this process and for good. It must have one thread only.

    Raises:
        SealError: the kernel takes no filter.
    """
    refuse = pyseccomp.ERRNO(errno.EPERM)
    allowed = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in DENIED:
        # A name this machine's kernel interface does not have needs no rule.
        if pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) >= 0:
            allowed.add_rule(refuse, name)
    # Threads are let through, processes are not; clone3 hides its flags from filters, and libc falls
    # back to clone when it does not exist.
    allowed.add_rule(
        refuse,
        "clone",
        pyseccomp.Arg(0, pyseccomp.MASKED_EQ, _CLONE_THREAD, 0),
    )
    allowed.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    own = os.getpid()
    for name in ("kill", "tgkill"):
        allowed.add_rule(refuse, name, pyseccomp.Arg(0, pyseccomp.NE, own))
    # Times can be set of an open file, not of a path.
    allowed.add_rule(refuse, "utimensat", pyseccomp.Arg(1, pyseccomp.NE, 0))
    # Limits can be read, not changed; the death with the launcher cannot be called off.
    allowed.add_rule(refuse, "prlimit64", pyseccomp.Arg(2, pyseccomp.NE, 0))
    allowed.add_rule(refuse, "prctl", pyseccomp.Arg(0, pyseccomp.EQ, _PR_SET_PDEATHSIG))
    try:
        allowed.load()
    except OSError as error:
        raise SealError(
            f"the kernel takes no system-call filter: {error}",
            cure="use a kernel with seccomp, or say --unsealed",
        ) from error


def thread_count() -> int:
    """Threads of this process, those that are not Python's included."""
    try:
        return sum(1 for _ in Path("/proc/self/task").iterdir())
    except OSError:
        return threading.active_count()
