"""What Python's library has no function for: namespaces, capabilities, Landlock and seccomp, by way of the C library.

Every function raises `OSError` where the kernel refuses. None needs root.
"""

import ctypes
import os
import signal
import struct

from enhanced_memory.mcp_server.sandbox.syscalls import filter_for, machine

__all__ = [
    "die_with_parent",
    "drop_capabilities",
    "empty_root",
    "landlock_version",
    "lock_files",
    "no_new_privileges",
    "not_dumpable",
    "own_user_namespace",
    "restrict_calls",
    "seccomp_supported",
    "unshare",
]

NEWUSER, NEWNS, NEWNET, NEWIPC, NEWUTS, NEWPID, NEWCGROUP = (
    0x10000000,
    0x00020000,
    0x40000000,
    0x08000000,
    0x04000000,
    0x20000000,
    0x02000000,
)

_PDEATHSIG, _DUMPABLE, _SECCOMP, _NO_NEW_PRIVS, _AMBIENT = 1, 4, 22, 38, 47
_SECCOMP_FILTER = 2
_AMBIENT_CLEAR = 4
_EFAULT = 14
_PRIVATE, _RECURSIVE, _REMOUNT, _DETACH = 1 << 18, 1 << 14, 1 << 5, 2
_READ_ONLY, _NO_SUID, _NO_DEVICES, _NO_EXEC = 1, 2, 4, 8
_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522

# Loaded with the zygote: an isolated worker could not open the library any more.
_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(option: int, first: int = 0, second: int = 0, what: str = "prctl") -> int:
    arguments = [ctypes.c_ulong(one) for one in (first, second, 0, 0)]
    return _checked(_libc.prctl(option, *arguments), what)


def _call(number: int, *arguments: object, what: str) -> int:
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), what)


def die_with_parent() -> None:
    """Have this process killed when its parent ends."""
    _prctl(_PDEATHSIG, signal.SIGKILL, what="PR_SET_PDEATHSIG")


def not_dumpable(dumpable: bool = False) -> None:
    """Keep this process from being traced, and its /proc from being read, by others of the same user."""
    _prctl(_DUMPABLE, int(dumpable), what="PR_SET_DUMPABLE")


def no_new_privileges() -> None:
    """Never gain rights again, by whatever is executed."""
    _prctl(_NO_NEW_PRIVS, 1, what="PR_SET_NO_NEW_PRIVS")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _checked(_libc.unshare(ctypes.c_int(flags)), "unshare")


def own_user_namespace(more: int) -> None:
    """Enter a user namespace of our own, in which this user is nobody, and `more` namespaces with it."""
    user, group = os.geteuid(), os.getegid()
    unshare(NEWUSER | more)
    for name, text in (("setgroups", "deny"), ("uid_map", f"65534 {user} 1"), ("gid_map", f"65534 {group} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def empty_root() -> None:
    """Put an empty, read-only file system in the place of all files. Needs a mount namespace of our own."""
    _mount(None, "/", None, _PRIVATE | _RECURSIVE, None)
    # Any folder will do to hang it on: nobody else sees it.
    _mount("none", "/proc", "tmpfs", _NO_SUID | _NO_DEVICES | _NO_EXEC, "size=4k,nr_inodes=1,mode=0555")
    os.chdir("/proc")
    _call(_PIVOT_ROOT[os.uname().machine], b".", b".", what="pivot_root")
    _checked(_libc.umount2(b".", _DETACH), "umount2")
    os.chdir("/")
    _mount("none", "/", None, _REMOUNT | _READ_ONLY | _NO_SUID | _NO_DEVICES | _NO_EXEC, "size=4k,nr_inodes=1")


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    given = [None if one is None else one.encode() for one in (source, target, kind)]
    data = None if options is None else options.encode()
    _checked(_libc.mount(*given, ctypes.c_ulong(flags), data), f"mount {target}")


def drop_capabilities() -> None:
    """Give up every capability."""
    _prctl(_AMBIENT, _AMBIENT_CLEAR, what="PR_CAP_AMBIENT")
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _call(_CAPSET[os.uname().machine], header, bytes(24), what="capset")


def landlock_version() -> int:
    """The version of Landlock's interface that the kernel offers; 0: none."""
    found = int(_libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), ctypes.c_uint(1)))
    return max(found, 0)


def lock_files() -> None:
    """Let this process open no file, bind and connect no TCP port, reach no abstract socket and no other process.

    As far as the kernel's Landlock goes; `OSError` where it has none. Needs `no_new_privileges`.
    """
    version = landlock_version()
    if not version:
        raise OSError(38, "the kernel has no Landlock, or it is switched off")
    files = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):
        files |= (1 << bit) if version >= since else 0
    parts = [files, *([3] if version >= 4 else []), *([3] if version >= 6 else [])]
    rules = struct.pack(f"={len(parts)}Q", *parts)
    handle = _call(_CREATE_RULESET, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint(0), what="landlock")
    try:
        _call(_RESTRICT_SELF, ctypes.c_int(handle), ctypes.c_uint(0), what="landlock")
    finally:
        os.close(handle)


def seccomp_supported() -> bool:
    """Whether this kernel filters system calls, and we have a table for the machine. Changes nothing."""
    if machine() is None:
        return False
    # A filter at address 0 is refused in either case: as a bad address where there are filters.
    return _libc.prctl(_SECCOMP, ctypes.c_ulong(_SECCOMP_FILTER), None, 0, 0) < 0 and ctypes.get_errno() == _EFAULT


def restrict_calls() -> None:
    """From here on make the system calls of `syscalls.ALLOWED` alone. Needs `no_new_privileges`."""
    here = machine()
    if here is None:
        raise OSError(38, f"there is no table of system calls for {os.uname().machine}")
    steps = filter_for(here)
    program = _Program(len(steps) // 8, steps)
    filtering = _libc.prctl(_SECCOMP, ctypes.c_ulong(_SECCOMP_FILTER), ctypes.byref(program), 0, 0)
    _checked(filtering, "seccomp")
