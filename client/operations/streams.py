"""Streams: ordered messages that belong to an entity (a session, a character)."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Limit, Message, MessageInput, Number, Ref, Value


class Appended(Value, frozen=True):
    """The messages' ids, in the order given, and the stream they went to."""

    ids: list[int]
    stream: int
    space: str = "default"


class AppendMessages(Change[Appended]):
    """Append messages to a stream. A stream named for the first time is made, as an entity of `stream_type`."""

    stream: Ref
    messages: Annotated[list[MessageInput], Meta(min_length=1, max_length=10_000)]
    stream_type: str = "session"


class Messages(Value, frozen=True):
    """Messages, and the cursor behind the last of them."""

    messages: list[Message]
    cursor: str | None = None
    space: str = "default"


class RecentMessages(Question[Messages]):
    """The newest messages of a stream, oldest of them first. `before` is a message id to go back from."""

    point: ClassVar[bool] = True

    stream: Ref
    limit: Limit = 10
    before: Number | None = None
    roles: list[str] = []
    kinds: list[str] = []


class MessagesBy(Question[Messages]):
    """Messages of a stream that meet every condition given; both ends of a range are included."""

    stream: Ref
    tick_from: int | None = None
    tick_to: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    roles: list[str] = []
    kinds: list[str] = []
    speakers: list[str] = []
    order_by: Literal["id", "tick", "at"] = "id"
    newest_first: bool = False
    limit: Limit = 100
    cursor: str | None = None


class WindowLine(Value, frozen=True):
    """A message as LLM interfaces take it."""

    role: str
    content: str


class Window(Value, frozen=True):
    """The end of a stream that fits a budget, ready to be sent to a model."""

    messages: list[WindowLine]
    tokens: int
    """Counted where the messages say it, estimated (four characters a token) where they do not."""
    total: int
    summary: str = ""
    space: str = "default"


class GetWindow(Question[Window]):
    """The last messages of a stream within a count and, if given, a token budget, oldest first."""

    stream: Ref
    messages: Limit = 20
    tokens: Annotated[int, Meta(ge=1)] | None = None
