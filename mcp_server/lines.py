"""Bytes in, whole lines out; no I/O and no import, for the relay uses it too.

A line may come in any number of pieces, and is searched for its end once. One that is too long is told of once and
skipped to its end, whatever its length.
"""

__all__ = ["Lines"]


class Lines:
    """Assembles what arrives into lines of at most `limit` bytes, a CR included; their ends (LF or CRLF) are left off."""

    __slots__ = ("_limit", "_parts", "_size", "_skipping")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._skipping = False

    def feed(self, data: bytes) -> list[bytes | None]:
        """The lines that `data` completes. None stands for one over the limit, as soon as it is over."""
        found: list[bytes | None] = []
        pieces = data.split(b"\n")
        for piece in pieces[:-1]:
            line = self._whole(piece, found)
            if line is not None:
                found.append(line[:-1] if line.endswith(b"\r") else line)
        self._keep(pieces[-1], found)
        return found

    def rest(self) -> bytes:
        """What came after the last line's end."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest

    def _whole(self, piece: bytes, found: list[bytes | None]) -> bytes | None:
        """The line that ends with `piece`; None where it is too long or was skipped."""
        if not self._parts and not self._skipping and len(piece) <= self._limit:
            return piece
        self._keep(piece, found)
        if self._skipping:
            self._skipping = False
            return None
        line = b"".join(self._parts)
        self._parts, self._size = [], 0
        return line

    def _keep(self, piece: bytes, found: list[bytes | None]) -> None:
        if self._skipping or not piece:
            return
        self._size += len(piece)
        if self._size > self._limit:
            self._parts, self._size, self._skipping = [], 0, True
            found.append(None)
        else:
            self._parts.append(piece)
