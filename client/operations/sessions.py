"""Sessions: streams with a beginning and an end, a type, a user and a title."""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from enhanced_memory.client.operations.entities import Removed
from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Limit, Ref, Value


class Session(Value, frozen=True):
    """A session as it stands."""

    id: int
    name: str
    session_type: str = "conversation"
    user: str = ""
    title: str = ""
    metadata: dict[str, Any] = {}
    summary: str = ""
    messages: int = 0
    """How many it has, archived ones among them."""
    archived_messages: int = 0
    """How many of them are in the archive."""
    started_at: datetime | None = None
    updated_at: datetime | None = None
    """When it was last changed or something was said in it."""
    ended_at: datetime | None = None
    archived_at: datetime | None = None
    keep_messages: int | None = None
    keep_days: float | None = None
    version: int = 1
    space: str = "default"


class StartSession(Change[Session]):
    """Start a session, or go on with the one of that name. Without a name it gets one of its own.

    One that had ended is open again; what is given of type, user, title, metadata and retention takes the place of what it
    had. `conflict` where it is archived, or `on_existing` is `error` and it is there.
    """

    name: str = ""
    session_type: str = ""
    """`conversation`, `task` …; a new one is a `conversation` unless given."""
    user: str = ""
    title: str = ""
    metadata: dict[str, Any] = {}
    keep_messages: Annotated[int, Meta(ge=1, le=2**31)] | None = None
    keep_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None
    on_existing: Literal["resume", "error"] = "resume"
    message: str = ""


class EndSession(Change[Session]):
    """End a session: nothing more is said in it until it is started again. It is summed up, unless it has a summary or one is given."""

    session: Ref
    summary: str | None = None
    summarize: bool = True
    message: str = ""


class ArchiveSession(Change[Session]):
    """Put a session away: ended, summed up, its messages packed together and still found; or (`archived` false) take it up again."""

    session: Ref
    archived: bool = True
    message: str = ""


class DeleteSession(Change[Removed]):
    """Delete a session with its messages. Softly: `restore_entities` brings both back. `invalid` for what is no session."""

    session: Ref
    message: str = ""


class Sessions(Value, frozen=True):
    """A page of sessions and where the next begins."""

    sessions: list[Session]
    cursor: str | None = None
    space: str = "default"


class ListSessions(Question[Sessions]):
    """List sessions with their counts, those first in which something happened last. `sessions` names single ones.

    `open` ones have neither ended nor been archived, `current` ones have not been archived.
    """

    sessions: Annotated[list[Ref], Meta(max_length=1000)] = []
    status: Literal["open", "ended", "current", "archived", "all"] = "all"
    session_types: list[str] = []
    user: str | None = None
    order_by: Literal["updated", "created", "name"] = "updated"
    descending: bool = True
    limit: Limit = 50
    cursor: str | None = None
