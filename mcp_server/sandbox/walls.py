"""The walls around a worker, put up by the worker itself before it reads what it is to run.

The order matters: what a later wall forbids, an earlier one may still need. Each can be left out, so that each can be
tried alone; which there are on this machine is found out by trying to escape (`probes.py`), and from then on one that
cannot be put up is an error.
"""

import os
import resource
import signal
from collections.abc import Callable, Sequence

from enhanced_memory.mcp_server.sandbox import kernel

__all__ = ["LAYERS", "Refused", "alone", "apart", "enclosed"]

LAYERS = ("rlimits", "namespaces", "landlock", "seccomp")
"""Every layer, in the order in which they are put up."""

NOBODY = 65534
CHANNEL = 3
FAILED = 70
"""How a worker ends whose walls could not be put up."""
MOST_FILES = 4096
"""Above any descriptor that a zygote, which opens a handful, can have handed down."""
DESCRIPTORS = 16
STACK_BYTES = 8 * 1024 * 1024


class Refused(Exception):
    """The system does not let a layer be put up; says which and why."""


def apart(namespaces: bool) -> None:
    """Be nobody in particular, and with `namespaces` in new ones of every kind; of processes, from the next fork on.

    `Refused` where the system does not let us.
    """
    _step("privileges", _ordinary)
    if namespaces:
        everything = kernel.NEWNS | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWPID | kernel.NEWCGROUP
        _step("namespaces", lambda: kernel.own_user_namespace(everything))


def _ordinary() -> None:
    """Root becomes nobody: some limits do not hold for root."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        kernel.not_dumpable(dumpable=True)  # else our own /proc is root's, and the user namespace cannot be made


def alone(channel: int) -> None:
    """Keep of this process its `channel` alone, as descriptor 3: no other file, no environment, no handlers."""
    kernel.die_with_parent()
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    if channel != CHANNEL:
        os.dup2(channel, CHANNEL, inheritable=False)
    os.closerange(CHANNEL + 1, MOST_FILES)
    os.environ.clear()
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def enclosed(layers: Sequence[str], memory_bytes: int, cpu_s: int) -> None:
    """Put up `layers` around this process. `Refused` says which one could not be.

    With `namespaces` among them the process is the first one born after `apart`.
    """
    _step("privileges", _powerless)
    if "rlimits" in layers:
        _step("rlimits", lambda: _bounded(memory_bytes, cpu_s))
    if "namespaces" in layers:
        _step("namespaces", _nowhere)
    if "landlock" in layers:
        _step("landlock", kernel.lock_files)
    if "seccomp" in layers:
        _step("seccomp", kernel.restrict_calls)


def _step(name: str, work: Callable[[], None]) -> None:
    try:
        work()
    except (OSError, ValueError) as problem:
        raise Refused(f"{name}: {problem}") from None


def _powerless() -> None:
    kernel.no_new_privileges()
    kernel.not_dumpable()


def _nowhere() -> None:
    kernel.empty_root()
    kernel.drop_capabilities()


def _bounded(memory_bytes: int, cpu_s: int) -> None:
    with open("/proc/self/statm", "rb") as statm:
        own = int(statm.read().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: own + memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_SIGPENDING: 0,
    }
    for which, limit in limits.items():
        resource.setrlimit(which, (limit, limit))
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    stack = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, stack))
