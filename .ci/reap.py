"""Run a command and see that nothing it started outlives it.

usage: reap.py COMMAND [ARGUMENT ...]      (the command finds this process's number in $BENEATH_REAP)

Orphans of the command, detached daemons among them, become children of this process (PR_SET_CHILD_SUBREAPER), so they
are known by their ids and by nothing else. Those that are still there after a grace time are named and ended: a test
that leaves a process behind is a test that is wrong, but for what was started on demand, which leaves by itself later.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10.0
SIGTERM_S = 5.0


def main() -> int:
    """Run the command; its exit code. What it left behind is named and ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) was refused")
    signal.signal(signal.SIGTERM, interrupted)
    command = subprocess.Popen(sys.argv[1:], env={**os.environ, "BENEATH_REAP": str(os.getpid())})
    try:
        code = collect(command.pid)
    except KeyboardInterrupt:
        command.terminate()
        code = 130
        wait_for_none(SIGTERM_S)
    else:
        wait_for_none(GRACE_S)
    left = offspring()
    for pid in left:
        # A daemon or a host that was started on demand would leave by itself once it has been idle long enough.
        leaves = "--on-demand" in command_line(pid)
        print(f"{'not gone yet' if leaves else 'LEFT BEHIND'}: {pid} {command_line(pid)}", file=sys.stderr)
    end(left)
    return code


def collect(pid: int) -> int:
    """Wait for this child; its exit code. Orphans that end meanwhile are collected at once, for whoever waits for one of
    them to be gone waits for its entry in the process table."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def interrupted(number: int, frame: FrameType | None) -> None:
    """Treat a request to end like Ctrl-C, so that what was started is ended too."""
    raise KeyboardInterrupt


def wait_for_none(seconds: float) -> None:
    """Give what is on its way out the time to go."""
    deadline = time.monotonic() + seconds
    while offspring() and time.monotonic() < deadline:
        time.sleep(0.05)


def end(pids: list[int]) -> None:
    """Ask each to go, then make it; until no child is left, for children of the ended become ours."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    wait_for_none(SIGTERM_S)
    while left := offspring():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        wait_for_none(1.0)


def offspring() -> list[int]:
    """The living children of this process; the dead ones are collected on the way."""
    children = [int(word) for word in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return [pid for pid in children if os.waitpid(pid, os.WNOHANG) == (0, 0)]


def command_line(pid: int) -> str:
    """What the process was started as."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except FileNotFoundError:
        return "(gone)"


if __name__ == "__main__":
    sys.exit(main())
