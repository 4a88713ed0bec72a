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
    """Append messages to a stream. A stream named for the first time is made, as an entity of `stream_type`.

    `conflict` where the session has ended or is archived, `not_found` where the stream was deleted; `invalid` for a role that
    the stream's kind does not know, and for a character's tick that goes back. Then none of them is appended.
    """

    stream: Ref
    messages: Annotated[list[MessageInput], Meta(min_length=1, max_length=10_000)]
    stream_type: str = "session"
    scope: str = ""
    """Where the stream's name is unique, for kinds of which several may have one name."""


class Messages(Value, frozen=True):
    """Messages, and the cursor behind the last of them."""

    messages: list[Message]
    cursor: str | None = None
    space: str = "default"


class RecentMessages(Question[Messages]):
    """The newest messages of a stream, oldest of them first. `before` is a message id to go back from.

    What the stream does not keep (`set_retention`) is told only where `archived` asks for it.
    """

    point: ClassVar[bool] = True

    stream: Ref
    limit: Limit = 10
    before: Number | None = None
    roles: list[str] = []
    kinds: list[str] = []
    archived: bool = False


class MessagesBy(Question[Messages]):
    """Messages of a stream that meet every condition given; both ends of a range are included.

    What the stream does not keep (`set_retention`) is told only where `archived` asks for it.
    """

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
    archived: bool = False


class WindowLine(Value, frozen=True):
    """A message as LLM interfaces take it."""

    role: str
    content: str


class Window(Value, frozen=True):
    """The end of a stream that fits a budget, ready to be sent to a model."""

    messages: list[WindowLine]
    tokens: int
    """Counted where the messages say it, estimated (four characters a token) where they do not; the summary's among them."""
    total: int
    """How many messages the stream has, archived ones among them."""
    summary: str = ""
    """What the stream was said to be about, and what went before the messages that it keeps."""
    space: str = "default"


class GetWindow(Question[Window]):
    """What a model needs of a stream: its summary, and the last messages within a count and, if given, a token budget, oldest first.

    `summary_as` `system` puts the summary before the messages as a line of its own; `apart` leaves it beside them, `none` leaves
    it out. Of a budget the summary takes at most half.
    """

    stream: Ref
    messages: Limit = 20
    tokens: Annotated[int, Meta(ge=1)] | None = None
    summary_as: Literal["apart", "system", "none"] = "apart"


class Retained(Value, frozen=True):
    """What a stream keeps, and what was archived by the call."""

    stream: int
    keep_messages: int | None = None
    keep_days: float | None = None
    archived: int = 0
    """How many messages went into the archive now."""
    space: str = "default"


class SetRetention(Change[Retained]):
    """Say what a stream keeps: its newest `messages`, what was said in the last `days`, or (neither given) everything.

    What is older is left out of recent messages and windows, summed up in the stream's running summary, and packed into
    compressed blocks some hundred at a time. Searches, exports and `archived` still find it; nothing is dropped.
    """

    stream: Ref
    messages: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    days: Annotated[float, Meta(gt=0, le=36_500)] | None = None
    message: str = ""


class Archived(Value, frozen=True):
    """How much went into the archive."""

    streams: int
    messages: int
    space: str = "default"


class ArchiveMessages(Change[Archived]):
    """Archive now what streams do not keep any more: of one stream, or of all that say what they keep.

    Appending does so by itself, some hundred messages at a time; this is for streams that only time makes older. Of one
    stream, `everything` archives all that it has.
    """

    stream: Ref | None = None
    everything: bool = False
    message: str = ""


class Summary(Value, frozen=True):
    """What some messages come to."""

    text: str
    stream: int
    first: int = 0
    """The messages that it covers, by their ids: 0 for none."""
    last: int = 0
    messages: int = 0
    key_events: list[str] = []
    """What happened."""
    developments: dict[str, list[str]] = {}
    """By speaker or character: what became of them."""
    plot_points: list[str] = []
    """Decisions, plans, discoveries."""
    method: str = "extractive"
    """Who made the text: `extractive`, `caller`, or the model that wrote it. The lists are sentences of the messages in any case."""
    note: str = ""
    """Why a model that was to write it did not."""
    space: str = "default"


class KeepSummary(Change[Summary]):
    """Keep a summary as a stream's own: the `text` that a caller wrote, or, without one, what its messages come to.

    Windows begin with it, and go on with a running summary of what was archived since. Where nothing was said, nothing is kept.
    Without `text` the setting `summarizer` says who writes it: the sentences that say most, or a model.
    """

    stream: Ref
    text: str | None = None
    chars: Annotated[int, Meta(ge=50, le=20_000)] = 800
    """About how long, where it is made here."""
    message: str = ""
