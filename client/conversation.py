"""What a client says and hears, without any I/O: ids, keys, answers, errors and the greeting."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from enhanced_memory.client.errors import Broken, Error, Invalid, Unavailable, WrongStore, from_wire
from enhanced_memory.client.operations.service import Hello, Subscribe, Unsubscribe, Welcome
from enhanced_memory.client.operations.spaces import Switch
from enhanced_memory.client.project import space_name
from enhanced_memory.client.request import Change, Request, answer_type
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.wire import PROTOCOL, pack, unpack

__all__ = ["Conversation"]

A = TypeVar("A")

_AS_THEY_ARE = (bytes, bytearray, memoryview)
"""What must not be turned into text on the way: the daemon says that it keeps no bytes."""


class Conversation:
    """One client's side of the wire, over as many connections as it takes."""

    def __init__(
        self,
        settings: Settings,
        client: str,
        channel: str = "socket",
        on_ignored: Callable[[str, list[str]], None] | None = None,
        folder: str | None = None,
    ) -> None:
        self.settings = settings
        self.client = client
        self.channel = channel
        self.welcome: Welcome | None = None
        self.on_ignored = on_ignored
        self.space, self.parent = space_name(settings.space, folder)
        self.subscription: Subscribe | None = None
        self._next = 0
        self._keys = ""
        self._keys_of = 0

    def hello(self) -> Hello:
        """The first request of a connection."""
        return Hello(
            protocol=PROTOCOL,
            client=self.client,
            agent=self.settings.agent,
            space=self.space,
            session=self.settings.session,
            channel=self.channel,
            parent=self.parent,
        )

    def greeted(self, welcome: Welcome) -> None:
        """Take the daemon's greeting. `WrongStore` where it serves another store than the settings name."""
        mine = self.settings.store_name
        if welcome.store != mine:
            raise WrongStore(f"The daemon there serves {welcome.store}; the settings name {mine}.")
        self.welcome = welcome

    def key(self, ask: Request[Any]) -> str | None:
        """A key under which a change may be sent again and is applied once."""
        if not (self.settings.retry_changes and isinstance(ask, Change)):
            return None
        if self._keys_of != os.getpid():
            # A forked child goes on counting where its parent stood: with the parent's keys its changes would be taken for repeats.
            self._keys, self._keys_of = os.urandom(9).hex(), os.getpid()
        self._next += 1
        return f"{self._keys}:{self._next}"

    def encode(
        self, ask: Request[Any], deadline_s: float | None, key: str | None = None, **beside: Any
    ) -> tuple[int, bytes]:
        """The request's id and its frame. `beside` may hold `run` and `tool`. `Invalid` for what is not plain data."""
        self._next += 1
        message: dict[str, Any] = {"id": self._next, "op": ask.op}
        try:
            args = msgspec.to_builtins(ask, builtin_types=_AS_THEY_ARE)
        except (TypeError, ValueError, RecursionError) as problem:
            raise Invalid(
                f"A value cannot be sent: {problem}.", "send plain data: text, numbers, lists, maps"
            ) from None
        if args:
            message["args"] = args
        if key is not None:
            message["key"] = key
        if deadline_s is not None:
            message["deadline_ms"] = int(deadline_s * 1000)
        if beside:
            message.update(beside)
        limit = self.welcome.limits.get("max_frame_bytes") if self.welcome else None
        return self._next, pack(message, limit or self.settings.max_frame_bytes)

    @staticmethod
    def unanswered() -> Unavailable:
        """What to say of a daemon whose socket is there, and that has not answered in time."""
        return Unavailable(
            "The daemon took the connection but does not answer.",
            "it may be bringing a large store up to date after an upgrade: ask again in a while; or see `memoryctl doctor`",
        )

    @staticmethod
    def heard(payload: bytes) -> dict[str, Any]:
        """An incoming frame: an answer (with `id`) or an event (with `event`)."""
        try:
            return unpack(payload)
        except Error as problem:
            raise Broken(f"The daemon's answer cannot be read: {problem.message}") from None

    def answered(self, ask: Request[A], answer: dict[str, Any]) -> A:
        """The typed answer, or the daemon's error raised here."""
        if "error" in answer:
            raise from_wire(answer["error"])
        ignored = answer.get("ignored")
        if ignored and self.on_ignored is not None:
            self.on_ignored(ask.op, ignored)
        try:
            value: Any = msgspec.convert(answer.get("ok"), answer_type(type(ask)), strict=True)
        except msgspec.ValidationError as problem:
            raise Broken(
                f"The daemon's answer to {ask.op} is not of the expected form: {problem}.",
                "client and daemon differ in version",
            ) from None
        self._note(ask, value)
        return value

    def _note(self, ask: Request[Any], value: Any) -> None:
        """Remember what a new connection has to be told again."""
        if isinstance(ask, Switch):
            self.space, self.parent = value.name, None
        elif isinstance(ask, Subscribe):
            self.subscription = ask
        elif isinstance(ask, Unsubscribe):
            self.subscription = None
