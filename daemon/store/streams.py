"""Streams: messages in the order in which they came, which is the same for every reader."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.values import Message, MessageInput
from enhanced_memory.daemon.store.bodies import Line, crc
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import View
from enhanced_memory.daemon.store.words import Words, word_row
from enhanced_memory.daemon.times import millis, moment

__all__ = ["Head", "Streams", "day", "length_of"]


def day(at: int) -> str:
    """A message's day as people write it."""
    when = moment(at)
    return f"{when.day} {when:%B} {when.year}"


class Head(msgspec.Struct, array_like=True):
    """A message without what it says."""

    message: int
    speaker: str
    role: str
    stream: int
    at: int
    importance: float | None
    length: int
    """In words."""


def length_of(content: str) -> int:
    """How many words a message has."""
    return len(content.split())


class Streams:
    """Appends and reads messages."""

    def __init__(self, ground: Ground, words: Words) -> None:
        self._ground = ground
        self._words = words

    def append(self, stream: int, messages: Iterable[MessageInput]) -> list[int]:
        """Write messages at the end of a stream; their ids, in the order given."""
        ground = self._ground
        ground.permit(stream)
        counters, number, space = ground.counters, ground.number, ground.space
        rows: list[dict[str, Any]] = []
        for message in messages:
            counters.message += 1
            raw, body = ground.codec.pack(Line(message.content, message.provider, message.metadata))
            rows.append(
                {
                    "id": counters.message,
                    "space": space,
                    "stream": stream,
                    "role": message.role,
                    "kind": message.kind,
                    "speaker": message.speaker,
                    "at": millis(message.at, "The message's time") if message.at else ground.now,
                    "tick": message.tick,
                    "importance": message.importance,
                    "tokens": message.tokens,
                    "length": length_of(message.content),
                    "began": number,
                    "crc": crc(raw),
                    "body": body,
                }
            )
            texts = [(0, message.speaker, message.content)]
            self._words.add(stream, texts, message=counters.message, dates=day(rows[-1]["at"]))
        ground.rows.many("add_message", rows)
        ids = [row["id"] for row in rows]
        ground.note("messages", ids[0], "append", after=ids[-1], entity=stream)
        return ids

    def of_change(self, first: int, last: int, number: int, withdrawn: bool) -> tuple[int, list[int]]:
        """The stream and the ids of the messages between two that change `number` appended and that stand, or that it withdrew."""
        rows = self._ground.rows.all(
            "messages_of_change", first=first, last=last, space=self._ground.space, number=number, withdrawn=withdrawn
        )
        return (rows[0][1] if rows else 0), [row[0] for row in rows]

    def there(self, message: int) -> bool:
        """Whether a message is in the store, be it withdrawn: neither purged nor in cold storage."""
        return bool(self._ground.rows.all("lines_spoken", ids=_json([message])))

    def withdraw(self, stream: int, ids: list[int]) -> None:
        """Let messages be said no more from now on; the past still has them."""
        ground = self._ground
        number = ground.number
        rows = ground.rows.all("lines_spoken", ids=_json(ids))
        passages = [{"id": row[6], "ended": number} for row in rows if row[6]]
        ground.rows.many("drop_words", passages)
        ground.rows.many("end_passage", passages)
        ground.rows.many(
            "add_words_past",
            [
                word_row(row[6], stream, row[1], self._said(row).content, day(row[2]))
                for row in rows
                if row[6] and row[5] < number
            ],
        )
        ground.ended += [row["id"] for row in passages]
        ground.rows.many("end_message", [{"id": row[0], "number": number} for row in rows])
        ground.note("messages", ids[0], "withdraw", after=ids[-1], entity=stream)

    def append_again(self, stream: int, ids: list[int]) -> None:
        """Let withdrawn messages stand again, in their old place. The past says that they always stood."""
        ground = self._ground
        ground.rows.many("revive_message", [{"id": number} for number in ids])
        rows = ground.rows.all("lines_spoken", ids=_json(ids))
        for row in rows:
            self._words.add(stream, [(0, row[1], self._said(row).content)], message=row[0], dates=day(row[2]))
        ground.note("messages", ids[0], "append", after=ids[-1], entity=stream)

    def _said(self, row: tuple[Any, ...]) -> Line:
        return self._ground.line(row[4], row[3])

    def read(
        self,
        stream: int,
        *also: str,
        order: str = "id",
        down: bool = False,
        limit: int,
        view: View | None = None,
        **values: Any,
    ) -> list[Message]:
        """Messages of a stream in the order of their `id`, `at` or `tick`, `limit` at the most. `also` names conditions."""
        view = self._ground.view if view is None else view
        found: list[tuple[Any, ...]] = []
        for _, layer in view:
            found += self._ground.rows.all(
                "messages",
                *also,
                key=f"message_{order}",
                down=down,
                space=layer.space,
                at=layer.at,
                stream=stream,
                limit=limit,
                **values,
            )
        if len(view.layers) > 1:
            place = {"id": 0, "at": 6, "tick": 7}[order]
            found.sort(key=lambda row: (row[place], row[0]), reverse=down)
        return [self._message(row) for row in found[:limit]]

    def many(self, ids: Iterable[int], *also: str, **values: Any) -> dict[int, Message]:
        """The given messages, by id."""
        rows = self._ground.rows.all(
            "messages_by_ids", *also, ids=msgspec.json.encode(sorted(set(ids))).decode(), **values
        )
        return {row[0]: self._message(row) for row in rows}

    def heads(self, ids: Iterable[int], *also: str, **values: Any) -> dict[int, Head]:
        """The same without what they say, which costs a tenth."""
        row = self._ground.rows.one(
            "message_heads", *also, ids=msgspec.json.encode(sorted(set(ids))).decode(), **values
        )
        return {one.message: one for one in msgspec.json.decode(row[0], type=list[Head])} if row else {}

    def count(self, stream: int, *also: str, **values: Any) -> int:
        """How many messages the view has of a stream. `also` names conditions."""
        total = 0
        for _, layer in self._ground.view:
            row = self._ground.rows.one(
                "count_messages", *also, space=layer.space, at=layer.at, stream=stream, **values
            )
            total += row[0] if row else 0
        return total

    def _message(self, row: tuple[Any, ...]) -> Message:
        (number, _, stream, role, kind, speaker, at, tick, importance, tokens, began, checksum, body) = row
        line = self._ground.line(body, checksum)
        return Message(
            id=number,
            role=role,
            content=line.content,
            at=moment(at),
            kind=kind,
            speaker=speaker,
            tick=tick,
            importance=importance,
            tokens=tokens,
            provider=line.provider,
            metadata=line.metadata,
            stream=stream,
            change=began,
        )


def _json(ids: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(ids)).decode()
