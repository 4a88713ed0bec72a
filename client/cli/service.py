"""Verbs about the service: a check, an index made anew, an end."""

import os
import select
import signal
import socket
import struct
import time
from pathlib import Path
from typing import Any

from enhanced_memory.client.cli.declare import LONG_S, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.output import Paper, warn
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.errors import Denied, TimedOut, Unavailable
from enhanced_memory.client.launch import dial
from enhanced_memory.client.operations.service import Reindex, Reindexing, Verified, Verify
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory

__all__ = ["peer_pid"]


@verb(
    "verify",
    "Check the whole store against its checksums and indexes.",
    argument("--quick", action="store_true", help="the file's structure alone"),
)
def verify(call: Call) -> Answer:
    """The exit code is 1 where something is wrong."""
    memory = call.memory
    with progress("verifying"):
        found = memory.send(Verify(quick=call.given.quick), timeout_s=max(LONG_S, call.settings.timeout_s))
    return Answer(found, lambda paper: _tell_verified(paper, found), OK if found.ok else PROBLEM)


def _tell_verified(paper: Paper, found: Verified) -> None:
    checked = ", ".join(f"{what} {count:,}" for what, count in found.checked.items())
    paper.line(
        f"{'All is well' if found.ok else 'Damaged'}: checked {checked or 'nothing'} in {found.seconds:.1f} s.",
        "" if found.ok else "red",
    )
    for problem in found.problems:
        paper.line(f"- {problem}", indent=2)
    if not found.ok:
        paper.line("Restore a backup, or export what can be read.")


@verb(
    "reindex",
    "Make the words index and the vectors anew; with another `embedder` in the settings, change to it.",
    argument("what", nargs="?", choices=("all", "words", "meaning"), default="all", help="which of them (all)"),
    argument(
        "--no-wait", action="store_true", help="let it run in the background; `memoryctl status` says how far it is"
    ),
)
def reindex(call: Call) -> Answer:
    """What was there before serves until the end. Ending this command ends nothing: the daemon goes on, after a crash too."""
    memory = call.memory
    told = memory.send(Reindex(call.given.what), timeout_s=max(LOAD_S, call.settings.timeout_s))
    while told.state == "running" and not call.given.no_wait:
        told = _watched(call, told)
    said = "was reindexed" if told.state == "done" else "is being reindexed in the background"
    return Answer(told, lambda paper: paper.line(f"{_SAID[told.what]} {said}.".capitalize()))


LOAD_S = 180.0
"""How long another model may take to load before the job begins."""

_SAID = {"all": "everything", "words": "the words index", "meaning": "what memories mean"}


def _watched(call: Call, told: Reindexing) -> Reindexing:
    """Show one step of the job as a bar, up to its end or to the next step's beginning."""
    step, shown, warned = told.step, 0, ""
    with progress(f"reindexing {step}".strip(), told.total or None) as advance:
        while told.state == "running" and told.step == step:
            advance(max(0, told.done - shown))
            shown = max(shown, told.done)
            if told.problem and told.problem != warned:
                warned = told.problem
                warn(f"it waits: {warned}")
            time.sleep(PAUSE_S)
            found = call.memory.get_memory_status().reindexing
            if found is None:
                return Reindexing(told.what, "running")  # another daemon has taken over, and not got so far yet
            told = found
    return told


PAUSE_S = 0.1


@verb(
    "stop",
    "End the running daemon, once it has answered what it was asked.",
    argument("--wait", type=float, default=30.0, metavar="SECONDS", help="how long to wait for its end (30)"),
)
def stop(call: Call) -> Answer:
    """Where none runs there is nothing to do, and none is started."""
    settings = Settings.load({**call.overrides, "autostart": False})
    path = settings.socket_path
    pid = _daemon_pid(settings, path)
    if pid is None:
        return Answer({"stopped": False, "pid": None, "socket": str(path)}, lambda paper: paper.line("No daemon runs."))
    socket_activated = _activated(pid)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        handle = None
    if handle is not None:
        try:
            # The handle keeps the number from being another process's by now, provided that this is still the peer.
            if _peer_of(path, settings) not in (pid, None):
                raise Denied(f"The process behind {path} is not {pid} any more.", "try again")
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not select.select([handle], [], [], call.given.wait)[0]:
                raise TimedOut(
                    f"The daemon (pid {pid}) was asked to end and has not within {call.given.wait:g} s.", "see its log"
                )
        except ProcessLookupError:
            pass  # it ended by itself in between
        except PermissionError:
            raise Denied(
                f"The daemon (pid {pid}) belongs to another user.", "run this as that user, or as root"
            ) from None
        finally:
            os.close(handle)
    if not socket_activated:  # to dial systemd's socket would start the daemon again
        _await_silence(path, settings)
    value: dict[str, Any] = {"stopped": True, "pid": pid, "socket": str(path), "socket_activated": socket_activated}

    def tell(paper: Paper) -> None:
        paper.line(f"The daemon (pid {pid}) has ended.")
        if socket_activated:
            paper.line(
                "systemd starts it again when it is called; `systemctl --user stop memory-db.socket` keeps it down."
            )

    return Answer(value, tell)


def _daemon_pid(settings: Settings, path: Path) -> int | None:
    """The daemon's process, as it says and as the socket proves; None where nobody listens."""
    if _peer_of(path, settings) is None:
        return None
    try:
        with Memory(settings, client="memoryctl") as memory:
            pid = memory.welcome.pid
    except Unavailable:
        if _peer_of(path, settings) is None:  # it left meanwhile
            return None
        raise
    proven = _peer_of(path, settings)
    if proven not in (pid, None):
        raise Denied(
            f"The daemon says that its pid is {pid}; the socket at {path} belongs to {proven}.",
            "nothing was stopped; end it from where it was started (a container, systemd)",
        )
    return pid


def _peer_of(path: Path, settings: Settings) -> int | None:
    peer = dial(path, settings.connect_timeout_s)
    if peer is None:
        return None
    with peer:
        return peer_pid(peer)


def peer_pid(peer: socket.socket) -> int:
    """The process that listens at the other end, as the kernel says."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return int(pid)


def _activated(pid: int) -> bool:
    """Whether systemd holds the daemon's socket."""
    try:
        group = Path(f"/proc/{pid}/cgroup").read_text("utf-8")
    except OSError:
        return False
    return "memory-db.service" in group


def _await_silence(path: Path, settings: Settings) -> None:
    deadline = time.monotonic() + 5
    pause = 0.005
    while (peer := dial(path, settings.connect_timeout_s)) is not None:
        peer.close()
        if time.monotonic() > deadline:
            raise TimedOut(
                f"Somebody answers at {path} still: another daemon has been started.", "see `memoryctl doctor`"
            )
        time.sleep(pause)
        pause = min(pause * 2, 0.2)
