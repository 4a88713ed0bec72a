"""Verbs about sessions: listing them, looking into one, beginning, ending and putting one away, and following what is said."""

import sys
import time
from collections.abc import Callable
from functools import partial

from enhanced_memory.client.cli.arguments import positive
from enhanced_memory.client.cli.declare import BY_NAME, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import Usage
from enhanced_memory.client.cli.output import Paper, json_text, moment
from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.sessions import Session, Sessions
from enhanced_memory.client.values import Message, Ref

FOLLOW_S = 0.5
"""How long `tail --follow` waits before it looks again."""

ACTS = ("list", "show", "start", "end", "archive", "reopen", "keep", "delete", "tail")


@verb(
    "sessions",
    "List sessions; show, start, end, archive, reopen, keep, delete or tail one.",
    argument("does", nargs="?", choices=ACTS, default="list", metavar="ACT", help=", ".join(ACTS)),
    argument("name", nargs="?", metavar="SESSION", help="a session by name, or by id as '#12' or id:12"),
    BY_NAME,
    argument(
        "--status", choices=("open", "ended", "current", "archived", "all"), default="all", help="list: only these"
    ),
    argument("--type", dest="types", action="append", default=[], help="list: of this type; start: its type"),
    argument("--user", help="list: of this user; start: whose it is"),
    argument("--title", default="", help="start: what it is about"),
    argument("--summary", help="end: what it came to (default: it is summed up)"),
    argument("--messages", type=positive, metavar="N", help="keep: the newest N messages at hand"),
    argument("--days", type=float, metavar="N", help="keep: what was said in the last N days at hand"),
    argument("--limit", "-n", type=positive, default=20, help="list: sessions; tail, show: messages (20)"),
    argument("--follow", "-f", action="store_true", help="tail: go on with what is said from now on"),
    argument("--message", "-m", default="", help="why; kept with the change"),
)
def sessions(call: Call) -> Answer:
    """`keep` without a number keeps everything at hand. What is not at hand is archived, and found still. `delete` is soft:
    `restore` brings a session and its messages back.
    """
    given, memory = call.given, call.memory
    if given.does == "list":
        if given.name:
            raise Usage("list takes no name", "`sessions show NAME` shows one")
        found = memory.list_sessions(status=given.status, session_types=given.types, user=given.user, limit=given.limit)
        return Answer(found, lambda paper: _tell_list(paper, found))
    if not given.name:
        raise Usage(f"{given.does} wants to be told which", "name the session")
    ref = call.ref(given.name)
    match given.does:
        case "show":
            return _show(call, ref)
        case "tail":
            return _tail(call, ref)
        case "start":
            kind = given.types[0] if given.types else ""
            done = memory.start_session(
                given.name, session_type=kind, user=given.user or "", title=given.title, message=given.message
            )
        case "end":
            done = memory.end_session(ref, summary=given.summary, message=given.message)
        case "archive":
            done = memory.archive_session(ref, message=given.message)
        case "reopen":
            one = _one(call, ref)
            if one.archived_at is not None:
                memory.archive_session(one.id, archived=False, message=given.message)
            done = memory.start_session(one.name, message=given.message)
        case "keep":
            memory.set_retention(ref, messages=given.messages, days=given.days, message=given.message)
            done = _one(call, ref)
        case _:
            gone = memory.delete_session(ref, message=given.message)
            return Answer(gone, lambda paper: paper.line(f"deleted #{gone.ids[0]}; `memoryctl restore` brings it back"))
    return Answer(done, lambda paper: _tell_session(paper, done))


def _one(call: Call, ref: Ref) -> Session:
    found = call.memory.list_sessions([ref]).sessions
    if not found:
        raise NotFound(f"There is no session {ref!r}.", "`memoryctl sessions` lists them")
    return found[0]


def _show(call: Call, ref: Ref) -> Answer:
    one = _one(call, ref)
    said = call.memory.recent_messages(one.id, limit=call.given.limit, archived=True).messages

    def tell(paper: Paper) -> None:
        _tell_session(paper, one)
        _tell_messages(said, paper)

    return Answer({"session": one, "messages": said}, tell)


def _tail(call: Call, ref: Ref) -> Answer:
    one, memory = _one(call, ref), call.memory
    said = memory.recent_messages(one.id, limit=call.given.limit)
    if not call.given.follow:
        return Answer(said, partial(_tell_messages, said.messages))
    paper = Paper(sys.stdout)
    plain = bool(getattr(call.given, "json", False))
    tell: Callable[[Message], None] = (
        (lambda message: print(json_text(message), flush=True))
        if plain
        else (lambda message: _tell_message(paper, message))
    )
    last = 0
    try:
        while True:
            fresh = [message for message in said.messages if message.id > last]
            for message in fresh:
                tell(message)
            sys.stdout.flush()
            last = fresh[-1].id if fresh else last
            time.sleep(FOLLOW_S)
            said = memory.recent_messages(one.id, limit=1000)
    except (KeyboardInterrupt, BrokenPipeError):
        return Answer({"last": last}, lambda paper: None, to_stderr=True)


def _tell_messages(said: list[Message], paper: Paper) -> None:
    for message in said:
        _tell_message(paper, message)


def _tell_list(paper: Paper, found: Sessions) -> None:
    rows = [
        (
            f"#{one.id}", one.name, one.title or "–", one.session_type, one.user or "–", f"{one.messages:,}", _state(one),
            moment(one.updated_at),
        )
        for one in found.sessions
    ]  # fmt: skip
    paper.table(("id", "name", "title", "type", "user", "messages", "state", "last"), rows)
    if found.cursor:
        paper.line("There are more: raise --limit.", "dim")


def _state(one: Session) -> str:
    return "archived" if one.archived_at else "ended" if one.ended_at else "open"


def _tell_session(paper: Paper, one: Session) -> None:
    kept = [f"{one.keep_messages:,} messages"] if one.keep_messages else []
    kept += [f"{one.keep_days:g} days"] if one.keep_days else []
    paper.head(f"#{one.id} {one.name}")
    facts = [
        ("title", one.title), ("type", one.session_type), ("user", one.user), ("state", _state(one)),
        ("started", moment(one.started_at)), ("ended", moment(one.ended_at) if one.ended_at else ""),
        ("last", moment(one.updated_at)), ("messages", f"{one.messages:,}, {one.archived_messages:,} of them archived"),
        ("keeps", " and ".join(kept) or "everything"), ("summary", one.summary),
    ]  # fmt: skip
    paper.facts([fact for fact in facts if fact[1]])


def _tell_message(paper: Paper, message: Message) -> None:
    who = message.speaker if message.speaker in ("", message.role) else f"{message.role} {message.speaker}"
    paper.head(f"{message.id}  {moment(message.at)}  {who or message.role}")
    paper.line(message.content, indent=2)
