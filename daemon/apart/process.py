"""A process that answers searches beside the daemon: `python -m enhanced_memory.daemon.apart.process FOLLOWER`, with the daemon's
settings; `FOLLOWER` is the module that reads its store (`Followed.module`).

Frames as on the daemon's socket, on stdin and stdout. The first message says which vectors are wanted: `{model, dimension}`, 0 for none.
Once they are in memory it says `{ready}`, or `{error}`. Then it is told of changes, `{changed}` and `{vectors}`, and asked, `{ask, …}`;
a question is answered with `{answer, used}` or `{error}`, one after the other. It ends with its stdin, and with the daemon.
"""

import logging
import os
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.errors import Broken, Error
from enhanced_memory.client.request import HANDLERS, REQUESTS, Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import collecting, piped
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.store import Follower, Touched

__all__ = ["Answering", "main"]

log = logging.getLogger(__name__)


def main() -> None:
    """Answer until nobody asks any more."""
    piped.end_with_parent()
    os.umask(0o077)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500")  # where memory is lacking, the daemon is not what ends
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    told, say = piped.taken_over()
    wanted = next(told, None)
    if wanted is None:
        return
    try:
        settings = Settings.load()
        store: Follower = import_module(sys.argv[1]).Follower(settings)
        answering = Answering(store, wanted["model"], wanted["dimension"], settings.vectors_memory_mb << 20)
    except Exception as problem:
        say({"error": f"{type(problem).__name__}: {str(problem)[:300]}"})
        sys.exit(1)
    collecting.settle()
    say({"ready": os.getpid()})
    for message in told:
        if "ask" in message:
            try:
                say(answering.answer(message))
            except Error as problem:  # more than a frame holds: the daemon tells whoever asked
                say({"error": problem.message})
        else:
            answering.follow(message)
    answering.close()


class Answering:
    """A store and its vectors, and what is asked of them."""

    def __init__(self, store: Follower, model: int = 0, dimension: int = 0, vector_bytes: int = 0) -> None:
        """`model` is the one whose vectors are held, 0 for none; `vector_bytes` the room for them as they are stored."""
        from enhanced_memory.daemon.embedding.loading import emptied

        import_module("enhanced_memory.daemon.handlers")  # they register themselves
        self._store = store
        self._index = emptied(model, dimension, vector_bytes) if model else None
        if model:
            self._load(0)

    def _load(self, after: int, last: int | None = None) -> None:
        """Take in the vectors of passages beyond `after`, up to `last`."""
        from enhanced_memory.daemon.embedding.loading import page, taken_in

        index = self._index
        assert index is not None
        beyond: int | None = after
        while beyond is not None:
            read = self._store.read(partial(page, index.model, beyond), Call(Peer(), Request()))
            beyond = taken_in(index, read, last)

    def follow(self, message: dict[str, Any]) -> None:
        """Take in what has changed. What goes wrong shows where it is asked for."""
        try:
            if "changed" in message:
                number, passage, ended, epoch = message["changed"]
                self._store.changed(Touched(number, "", "", [], passage, ended), epoch)
                if ended and self._index is not None:
                    self._index.drop(ended)
            elif self._index is not None:
                first, last, gone = message["vectors"]
                self._index.drop(gone)
                self._load(first - 1, last)
                if self._index.wasted:
                    self._index.compact()
        except Error as problem:
            log.warning("a change was not taken in: %s", problem)
            sys.exit(1)  # who asks is answered by the daemon, and the next process begins anew

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """What a question's handler says, as it travels, and the entities that it read."""
        call = Call(Peer(greeted=True), Request())
        try:
            ask = msgspec.msgpack.decode(message["args"], type=REQUESTS[message["ask"]])
            peer = Peer(**message["peer"] | {"confined": frozenset(message["peer"]["confined"])}, greeted=True)
            call = Call(peer, ask, deadline=message["until"], crowded=True)
            call.meaning = self._meant(message)
            answer = self._store.read(lambda tx: HANDLERS[ask.op](tx, ask), call)
            return {"answer": msgspec.to_builtins(answer), "used": call.used}
        except Error as problem:
            return {"error": problem.message}
        except Exception as problem:
            log.exception("%s failed", message.get("ask"))
            return {"error": f"{type(problem).__name__}: {str(problem)[:300]}"}

    def _meant(self, message: dict[str, Any]) -> Any:
        if message["vector"] is None:
            return None
        import numpy as np

        from enhanced_memory.daemon.embedding.asked import Asked

        if self._index is None or self._index.model != message["model"]:
            raise Broken("Another model serves.")
        return Asked(np.frombuffer(message["vector"], np.float32), self._index, lambda: None)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()


if __name__ == "__main__":
    main()
