"""The archive of streams: which messages are beyond what a stream keeps, and the blocks in which their bodies are packed.

An archived message's row stays where it is; only its body goes, from the row into a block that some hundred share. So views,
branches, searches, exports and undoing need to know nothing of it.
"""

from typing import Any

import msgspec

from enhanced_memory.client.errors import Broken
from enhanced_memory.daemon.store.ground import Ground

__all__ = ["BLOCK_BYTES", "BLOCK_LINES", "Archive", "Packed"]

BLOCK_LINES = 256
BLOCK_BYTES = 128 * 1024
"""Of plain bodies: reading one message opens its whole block."""


class Packed(msgspec.Struct):
    """How many messages were packed now, and up to which all are."""

    count: int = 0
    last: int = 0


class Archive:
    """Says what is to be archived, and packs it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def cut(self, stream: int, keep: int) -> int:
        """The newest message that is not among the newest `keep` that the view has of a stream; 0 where there is none."""
        row = self._ground.rows.one("stream_cut", stream=stream, layers=self.layers, keep=keep)
        return row[0] if row else 0

    def spoken(self, stream: int) -> int:
        """The change with which the view's newest message of a stream came; 0 where there is none."""
        row = self._ground.rows.one("stream_spoken", stream=stream, layers=self.layers)
        return row[0] if row else 0

    @property
    def layers(self) -> str:
        """The view's spaces, each with the change that it is seen at, as queries take them."""
        return msgspec.json.encode([[layer.space, layer.at] for layer in self._ground.view.layers]).decode()

    def last(self, stream: int) -> int:
        """The newest message that the caller's space has of a stream; 0 where there is none."""
        row = self._ground.rows.one("last_of_stream", stream=stream, space=self._ground.space)
        return (row[0] if row else 0) or 0

    def older(self, stream: int, after: int, since: int) -> int:
        """Up to which message all that follow `after` were said before a time; 0 where the first of them was not."""
        row = self._ground.rows.one("lines_older", stream=stream, space=self._ground.space, after=after, since=since)
        return (row[0] if row else 0) or 0

    def count(self, stream: int, after: int, upto: int) -> int:
        """How many messages the caller's space has of a stream behind one and up to another."""
        row = self._ground.rows.one("count_lines", stream=stream, space=self._ground.space, after=after, upto=upto)
        return row[0] if row else 0

    def newest_tick(self, stream: int) -> int | None:
        """The highest tick that the view's spaces have in a stream now."""
        ticks = [
            row[0]
            for _, layer in self._ground.view
            if (row := self._ground.rows.one("newest_tick", stream=stream, space=layer.space)) is not None
        ]
        return max(ticks, default=None)

    def pack(self, stream: int, after: int, upto: int, most: int) -> Packed:
        """Pack the bodies of messages that the caller's space holds, behind one and up to another, `most` at the most."""
        ground = self._ground
        packed = Packed()
        while packed.count < most and (
            rows := ground.rows.all(
                "lines_to_pack", stream=stream, space=ground.space, after=max(after, packed.last), upto=upto,
                limit=min(BLOCK_LINES, most - packed.count),
            )
        ):  # fmt: skip
            packed.count += self._block(stream, rows)
            packed.last = rows[-1][0]
        if packed.count < most:
            packed.last = upto
        return packed

    def _block(self, stream: int, rows: list[tuple[Any, ...]]) -> int:
        """Pack some rows into as few blocks as their sizes allow."""
        ground = self._ground
        held: dict[int, bytes] = {}
        members: list[int] = []
        bytes_before = size = 0
        for number, checksum, body in rows:
            raw = ground.codec.plain(body, checksum)
            # A block's bodies are told apart by their checksums: two of one checksum that differ go into two blocks.
            if members and (size + len(raw) > BLOCK_BYTES or held.get(checksum, raw) != raw):
                self._write(stream, members, held, bytes_before)
                held, members, bytes_before, size = {}, [], 0, 0
            if checksum not in held:
                held[checksum] = raw
                size += len(raw)
            members.append(number)
            bytes_before += len(body)
        self._write(stream, members, held, bytes_before)
        return len(rows)

    def _write(self, stream: int, members: list[int], held: dict[int, bytes], bytes_before: int) -> None:
        ground = self._ground
        checksum, body = ground.codec.bundle(list(held.values()))
        ground.rows.run(
            "add_block", space=ground.space, stream=stream, first=members[0], last=members[-1], bytes=bytes_before,
            crc=checksum, body=body,
        )  # fmt: skip
        row = ground.rows.one("last_block")
        if row is None:
            raise Broken("A block was written and is not there.")
        ground.rows.many("pack_line", [{"id": number, "block": row[0]} for number in members])
