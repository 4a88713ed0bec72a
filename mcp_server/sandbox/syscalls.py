"""Which system calls a worker may make, as a table and as the filter that the kernel runs.

A worker computes and talks over one descriptor that is open already: it needs memory, time, that descriptor and its own
end. What Python tries by the way and can live without is refused with EPERM; whatever else is asked for kills.
The numbers of aarch64 are from the kernel's generic table and have not been tried on such a machine.
"""

import platform
import struct
from dataclasses import dataclass

__all__ = ["ALLOWED", "MACHINES", "REFUSED", "Machine", "filter_for", "machine"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A processor architecture as the filter sees it."""

    audit: int
    """The kernel's AUDIT_ARCH_ number."""
    column: int
    """Its place in the tables below."""
    highest: int | None = None
    """Numbers from here on belong to another calling convention (x32)."""


MACHINES = {"x86_64": Machine(0xC000003E, 0, 0x40000000), "aarch64": Machine(0xC00000B7, 1)}

# name: x86-64, aarch64 (None: it does not exist there)
ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "fstat": (5, 80),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "getpid": (39, 172),
    "exit": (60, 93),
    "gettimeofday": (96, 169),
    "sigaltstack": (131, 132),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "exit_group": (231, 94),
    "getrandom": (318, 278),
    "rseq": (334, 293),
}
"""Harmless in a process that has one descriptor."""

NO_EXEC: dict[str, tuple[int | None, int | None]] = {"mmap": (9, 222), "mprotect": (10, 226)}
"""Allowed unless the memory is to be executable."""

REFUSED: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "stat": (4, None),
    "lstat": (6, None),
    "ioctl": (16, 29),
    "pread64": (17, 67),
    "access": (21, None),
    "dup": (32, 23),
    "uname": (63, 160),
    "fcntl": (72, 25),
    "getcwd": (79, 17),
    "readlink": (89, None),
    "getrlimit": (97, 163),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getppid": (110, 173),
    "getdents64": (217, 61),
    "openat": (257, 56),
    "newfstatat": (262, 79),
    "readlinkat": (267, 78),
    "faccessat": (269, 48),
    "prlimit64": (302, 261),
    "statx": (332, 291),
    "openat2": (437, 437),
    "faccessat2": (439, 439),
}
"""Answered with EPERM: Python asks for these on its way to an error of its own, and must live to tell it."""

EPERM = 1
PROT_EXEC = 4

_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | EPERM
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _THIRD_ARGUMENT = 0, 4, 16 + 2 * 8
"""Where these lie in the kernel's `struct seccomp_data`; of an argument the lower half, both machines being little-endian."""


def machine() -> Machine | None:
    """This machine, or None where there is no table for it."""
    return MACHINES.get(platform.machine())


def filter_for(here: Machine) -> bytes:
    """The filter as an array of the kernel's `struct sock_filter`."""
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, here.audit, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER),
    ]
    if here.highest is not None:
        program += [_step(_JUMP_AT_LEAST, here.highest, no=1), _step(_RETURN, _KILL)]
    for number in _numbers(ALLOWED, here):
        program += [_step(_JUMP_EQUAL, number, no=1), _step(_RETURN, _ALLOW)]
    for number in _numbers(NO_EXEC, here):
        program += [
            _step(_JUMP_EQUAL, number, no=4),
            _step(_LOAD, _THIRD_ARGUMENT),
            _step(_JUMP_BITS, PROT_EXEC, yes=1),
            _step(_RETURN, _ALLOW),
            _step(_RETURN, _REFUSE),
        ]
    for number in _numbers(REFUSED, here):
        program += [_step(_JUMP_EQUAL, number, no=1), _step(_RETURN, _REFUSE)]
    return b"".join([*program, _step(_RETURN, _KILL)])


def _numbers(table: dict[str, tuple[int | None, int | None]], here: Machine) -> list[int]:
    return [number for row in table.values() if (number := row[here.column]) is not None]


def _step(code: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, operand)
