"""What systemd wants to hear: READY, WATCHDOG, STOPPING. No dependency."""

import os
import socket
from contextlib import suppress

__all__ = ["tell", "watchdog_s"]


def tell(state: str) -> None:
    """Send a state (`READY=1`, `STATUS=…`) to the service manager, if there is one. One that has gone is no reason to stop serving."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify, suppress(OSError):
        notify.sendto(state.encode(), address)


def watchdog_s() -> float | None:
    """Seconds between signs of life: half of what the service manager allows; None where it does not ask."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 2_000_000 if allowed.isdigit() and int(allowed) else None
