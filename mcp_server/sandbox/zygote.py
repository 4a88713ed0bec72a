"""The zygote: a process of one thread, started by exec, that has loaded what a worker needs and forks one for each run.

Started by exec it inherits nothing of the server: no descriptor, no lock held by a thread, no secret. It reads from its
control socket what is to be made, and hands each worker's channel and a handle on its process back; it never sees the
code. When the control socket closes it ends, and its workers with it.

`python -I -m enhanced_memory.mcp_server.sandbox.zygote DESCRIPTOR [--bare]`
"""

import gc
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from enhanced_memory.mcp_server.sandbox import kernel, walls, worker
from enhanced_memory.mcp_server.sandbox.pipe import Pipe, pack, unpack

__all__ = ["main"]

REQUEST_BYTES = 4096
SIGNALLED = 128
"""What a worker's parent adds to the number of the signal that ended it, as shells do."""


def main() -> None:
    """Serve until the broker has gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    if "--bare" in sys.argv:
        worker.allow_bare()
    _first_to_go()
    kernel.die_with_parent()
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, _noted)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()
    numbers: dict[int, int] = {}
    waiting = select.poll()
    waiting.register(control, select.POLLIN)
    waiting.register(woken, select.POLLIN)
    try:
        control.send(pack({"ready": os.getpid()}))
        while True:
            for handle, _ in waiting.poll():
                if handle == woken:
                    os.read(woken, 4096)
                    _reaped(control, numbers)
                    continue
                request = control.recv(REQUEST_BYTES)
                if not request:
                    os._exit(0)
                asked = unpack(request)
                pid = _fork(control, asked)
                numbers[pid] = asked["make"]
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the broker has gone while it was being told something


def _noted(*_: object) -> None:
    """SIGCHLD has only to wake us."""


def _first_to_go() -> None:
    """Where memory runs out it is a worker that has to end, and not somebody else's program."""
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass  # a system that does not let us: the workers' own limits hold all the same


def _reaped(control: socket.socket, numbers: dict[int, int]) -> None:
    """Tell the broker of each worker that has ended, and how."""
    while numbers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        code = os.waitstatus_to_exitcode(status)
        if code > SIGNALLED:
            code = SIGNALLED - code
        control.send(pack({"ended": numbers.pop(pid), "code": code}))


def _fork(control: socket.socket, asked: dict[str, Any]) -> int:
    theirs, ours = socket.socketpair()
    pid = os.fork()
    if not pid:
        try:
            _child(control, theirs, ours, asked)
        finally:
            os._exit(walls.FAILED)
    ours.close()
    if "namespaces" not in asked["layers"]:
        _introduce(control, asked["make"], pid, theirs)
    theirs.close()
    return pid


def _introduce(control: socket.socket, number: int, pid: int, channel: socket.socket) -> None:
    """Hand the broker a worker: its channel, and a handle by which it can be killed and nobody else by mistake."""
    handle = os.pidfd_open(pid)
    try:
        socket.send_fds(control, [pack({"made": number})], [channel.fileno(), handle])
    finally:
        os.close(handle)


def _child(control: socket.socket, theirs: socket.socket, ours: socket.socket, asked: dict[str, Any]) -> NoReturn:
    """Become the worker; with namespaces, its parent, which waits for it and ends as it does."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    namespaces = "namespaces" in asked["layers"]
    try:
        walls.apart(namespaces)
    except walls.Refused as problem:
        if namespaces:
            _introduce(control, asked["make"], os.getpid(), theirs)
        Pipe(ours.fileno()).send({"failed": str(problem)})
        os._exit(walls.FAILED)
    if namespaces:
        kernel.die_with_parent()
        pid = os.fork()
        if pid:
            ours.close()
            _introduce(control, asked["make"], pid, theirs)
            control.close()
            theirs.close()
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else SIGNALLED - code)
    walls.alone(ours.detach())
    pipe = Pipe(walls.CHANNEL)
    try:
        walls.enclosed(asked["layers"], asked["memory"], asked["cpu"])
    except walls.Refused as problem:
        pipe.send({"failed": str(problem)})
        os._exit(walls.FAILED)
    worker.serve(pipe)


if __name__ == "__main__":
    main()
