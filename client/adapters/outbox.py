"""A bounded queue for writes while no daemon answers: nothing is lost, the order is kept, and nothing is applied twice.

What waits are calls of an adapter, by name, in a file that outlives the program. Each is carried out under one key, from which every
change that it makes has its own: so a call that was cut off in the middle is repeated whole, and what it had done stays done once.
"""

import inspect
import logging
import os
import secrets
import threading
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import msgspec

from enhanced_memory.client.adapters.outbox_file import OutboxFile, Waiting
from enhanced_memory.client.errors import Broken, Busy, Error, Invalid, NotFound, TooLarge, Unavailable, WrongStore
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import Change, Request
from enhanced_memory.client.sync import Memory

__all__ = ["Outbox", "deferred"]

A = TypeVar("A")
P = ParamSpec("P")
S = TypeVar("S")

log = logging.getLogger(__name__)

_PASSES = (Unavailable, Busy, Broken)
"""What says nothing against the call: the daemon is away, has too much to do, or fails (a full disk, a database that is away)."""

_WRITES: dict[str, tuple[Callable[..., Any], bool, Any]] = {}
"""What can wait, by name: how it is carried out, whether its answer is an id, and what it answers while it waits."""


class _Keyed(Operations):
    """A client that gives the changes of a call which may be repeated the same keys each time."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._key = ""
        self._done: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)

    def send(self, ask: Request[A], *, timeout_s: float | None = None, key: str | None = None) -> A:
        """As a client does."""
        if key is not None or not self._key or not isinstance(ask, Change):
            return self._memory.send(ask, timeout_s=timeout_s, key=key)
        # A change that is refused as a conflict is tried again as the same one.
        count = self._done.get(ask.op, 0)
        answer = self._memory.send(ask, timeout_s=timeout_s, key=f"{self._key}-{ask.op}-{count}")
        self._done[ask.op] = count + 1
        return answer

    @contextmanager
    def repeatable(self, key: str) -> Generator[None]:
        """Make every change under a key of this call, until the block ends."""
        self._key, self._done = key, {}
        try:
            yield
        finally:
            self._key = ""


class Outbox:
    """Carries calls out in order; those that nobody takes wait, `limit` at the most, and go before the next one.

    Each goes to the space in which its caller was, by a client that is there: calls of other spaces in the same file are left to
    theirs, and have an order and a limit of their own. What the daemon refuses when its turn comes (its session was deleted
    meanwhile, say) is kept in `refused`; where the daemon itself fails (its disk is full, say) it waits on. Answers are kept by the
    daemon for seven days: a call that was cut off longer ago may be applied twice.
    """

    def __init__(self, memory: Memory, owner: Callable[[], Any], limit: int = 1000, path: Path | None = None) -> None:
        self._keyed = _Keyed(memory)
        self.memory = cast("Memory", self._keyed)  # it has all that a client has
        self.limit = limit
        store = memory.settings.store_path
        self._file = OutboxFile(path or store.with_name(store.name + ".outbox"))
        self._owner = owner
        self._turn = threading.RLock()
        self._file.read()

    def __len__(self) -> int:
        with self._turn:
            self._file.read()
            return len(self._own())

    def _own(self) -> list[Waiting]:
        """The calls that wait for this client's space, and those of a version that did not note a space."""
        space = self.memory.space
        return [one for one in self._file.waiting if one.space in ("", space)]

    @property
    def refused(self) -> list[Waiting]:
        """The calls that the daemon did not take, each with why."""
        return list(self._file.refused)

    def meant(self, number: int) -> int:
        """The id that stands for one which was given out while the daemon was away; the same number while that waits still."""
        if number >= 0:
            return number
        with self._turn:
            self._file.read()
            return self._file.meant(number) or number

    def carry_out(self, verb: str, args: Mapping[str, Any]) -> Any:
        """Carry a call out behind everything that waits, or let it wait, too: while no daemon answers, and while one that is busy
        or broken does not take what came before. `TooLarge` where the queue is full: then it was not taken.
        """
        with self._turn:
            key = os.urandom(12).hex()
            try:
                self.flush()
            except WrongStore:
                raise  # no waiting helps
            except _PASSES as problem:
                return self._wait(verb, args, key, problem)
            try:
                return self._call(verb, args, key)
            except WrongStore:
                raise
            except Unavailable as problem:
                return self._wait(verb, args, key, problem)

    def _wait(self, verb: str, args: Mapping[str, Any], key: str, why: Error) -> Any:
        _, told, empty = _WRITES[verb]
        number = (_named(args) or -1 - secrets.randbelow(1 << 50)) if told else 0
        try:
            plain = msgspec.json.decode(msgspec.json.encode(dict(args)))
        except (TypeError, msgspec.MsgspecError) as problem:
            raise Invalid(f"What is to be kept is not plain data: {problem}") from None
        with self._file.alone():
            if len(self._own()) >= self.limit:
                raise TooLarge(
                    f"{self.limit} changes wait for the daemon; no more are taken.",
                    "see to the daemon (`memoryctl doctor` says why it takes nothing), then repeat this one",
                )
            self._file.add(Waiting(key, verb, plain, number, space=self.memory.space))
            log.warning("%d changes wait for the memory daemon: %s", len(self._own()), why)
        return number if told else empty

    def flush(self) -> int:
        """Carry out what waits for this space; how many calls that were. `Unavailable`, `Busy` or `Broken` where the daemon still
        does not take it: then it waits on, and whatever is behind it.
        """
        sent = 0
        with self._turn:
            self._file.read()
            if not self._own():
                return 0
            with self._file.alone():
                for one in self._own():
                    try:
                        answer = self._call(one.verb, one.args, one.key)
                    except _PASSES:
                        raise
                    except (Error, TypeError, ValueError) as problem:
                        log.error("a change that waited was refused: %s", problem)
                        self._file.add(Waiting(one.key, done=True, refused=str(problem) or type(problem).__name__))
                    else:
                        number = answer if _WRITES[one.verb][1] and isinstance(answer, int) else 0
                        self._file.add(Waiting(one.key, id=number, done=True))
                    sent += 1
                if not self._file.waiting:
                    self._file.clean()
        return sent

    def _call(self, verb: str, args: Mapping[str, Any], key: str) -> Any:
        if verb not in _WRITES:
            raise Invalid(f"There is no call {verb!r}.", "it was made by another version of this program")
        given = {name: self._resolved(name, value) for name, value in args.items()}
        with self._keyed.repeatable(key):
            return _WRITES[verb][0](self._owner(), **given)

    def _resolved(self, name: str, value: Any) -> Any:
        """An argument with the ids that the daemon gave."""
        if isinstance(value, dict):
            said = cast("dict[str, Any]", value)
            return {
                key: self._resolved(key, one) if key in ("id", "conversation_id") else one for key, one in said.items()
            }
        if isinstance(value, int) and value < 0 and (name == "id" or name.endswith("_id")):
            meant = self._file.meant(value)
            if meant is None:
                raise NotFound(f"What {name} {value} stood for was not kept.", "see `Outbox.refused`")
            return meant
        return value


def _named(args: Mapping[str, Any]) -> int:
    """The id that a call names itself, in the record that it saves."""
    for one in args.values():
        if isinstance(one, dict):
            number = cast("dict[str, Any]", one).get("id")
            if isinstance(number, int):
                return number
    return 0


def _check(args: Mapping[str, Any], fields: Collection[str]) -> None:
    """Refuse what an insert cannot take, before anybody is asked. What has an id is an update."""
    record = cast("Mapping[str, Any]", next(iter(args.values())))
    if record.get("id") is not None:
        return
    strange = sorted(record.keys() - set(fields) - {"id", "name"})
    if strange:
        raise TypeError(f"{strange[0]!r} is no field of it; there are {', '.join(sorted({*fields, 'name'}))}")
    if not isinstance(record.get("name"), str):
        raise TypeError("a name is needed")


def deferred(
    empty: Any = None, *, told: bool = False, inserts: Collection[str] = ()
) -> Callable[[Callable[Concatenate[S, P], A]], Callable[Concatenate[S, P], A]]:
    """A write that waits while the daemon is away. It then answers `empty`, or (`told`) an id of its own, below 0, that later
    calls may name. `inserts` are the fields that a record may have which is new: another
    is a TypeError at once, as is a missing name.
    """

    def wrap(write: Callable[Concatenate[S, P], A]) -> Callable[Concatenate[S, P], A]:
        _WRITES[write.__name__] = (write, told, empty)
        named = inspect.signature(write)

        @wraps(write)
        def asked(self: S, /, *args: P.args, **kwargs: P.kwargs) -> A:
            given = dict(named.bind(self, *args, **kwargs).arguments)
            given.pop("self")
            if inserts:
                _check(given, inserts)
            outbox: Outbox = cast("Any", self).db_manager.outbox
            return outbox.carry_out(write.__name__, given)

        return asked

    return wrap
