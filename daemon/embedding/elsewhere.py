"""A model's process that systemd started for a connection: heard and spoken to as a child of the daemon is."""

import asyncio
from pathlib import Path

__all__ = ["Elsewhere", "reached"]

CONNECT_S = 2.0


class Elsewhere:
    """The process at the other end of a connection, which ends with it. As much of a child process as the daemon uses."""

    pid = 0
    """Its process, once it has said it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stdout = reader
        self.stdin = writer

    @property
    def returncode(self) -> int | None:
        """None while the connection stands; how the process ended is for its manager to know."""
        return 0 if self.stdin.transport.is_closing() or self.stdout.at_eof() else None

    def kill(self) -> None:
        """End it: systemd ends the unit of a connection that is gone as the process reads its end."""
        self.stdin.transport.abort()

    async def wait(self) -> int:
        """Wait until it has ended."""
        while not self.stdout.at_eof() and not self.stdin.transport.is_closing():
            if not await self.stdout.read(1 << 16):
                break
        return 0


async def reached(door: Path) -> Elsewhere | None:
    """A process behind `door`; None where systemd does not listen there."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(door), CONNECT_S)
    except (OSError, TimeoutError):
        return None
    return Elsewhere(reader, writer)
