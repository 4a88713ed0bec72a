"""Summaries as the daemon makes them: by sentences chosen in a reader, or written by a model where a setting says so.

A model is asked before the transaction; what it wrote is noted on the call.
"""

from typing import TYPE_CHECKING

import msgspec

from enhanced_memory.client.errors import Error
from enhanced_memory.client.operations.streams import Summary
from enhanced_memory.client.operations.summaries import Summarized, SummarizeEntity
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.extraction.values import UnansweredError
from enhanced_memory.daemon.handlers.spoken import Spoken, spoken
from enhanced_memory.daemon.handlers.summaries import text_of
from enhanced_memory.daemon.store import Engine, Tx

if TYPE_CHECKING:
    from enhanced_memory.daemon.extraction.model import Model

__all__ = ["SUMMARIZERS", "SummingUp"]

SUMMARIZERS = ("extractive", "anthropic")

INSTEAD = "by the sentences that say most"


class SummingUp:
    """Answers `summarize_entity`, and writes what a change is going to keep of a stream."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._asked: Model | None = None

    def _model(self) -> "Model":
        if self._asked is None:
            from enhanced_memory.daemon.extraction.model import Model

            self._asked = Model(self._settings, self._engine.clock)
        return self._asked

    async def summarize(self, call: Call) -> Summarized:
        """The extractive summary, its text replaced by a model's where one is set and answers; `note` says why one did not."""
        ask = call.ask
        assert isinstance(ask, SummarizeEntity)
        told: Summarized = await self._engine.read(lambda tx: HANDLERS[ask.op](tx, ask), call)
        if self._settings.summarizer != "anthropic" or not told.text:
            return told
        text = await self._engine.read(lambda tx: text_of(tx, ask), call)
        model = self._model()
        try:
            written = await model.summary(text, ask.chars)
        except UnansweredError as problem:
            return msgspec.structs.replace(told, note=f"{INSTEAD}: {problem}")
        return msgspec.structs.replace(told, text=written, sentences=[], method=model.name)

    async def write(self, call: Call) -> None:
        """Note on the call what the model wrote of the stream that a change will sum up; without one set, the handler does it alone."""
        if self._settings.summarizer != "anthropic":
            return
        from enhanced_memory.daemon.extraction.model import MOST_CHARS

        def read(tx: Tx) -> Spoken | None:
            if call.key is not None and tx.log.kept_answer(call.peer.uid, call.kept_as) is not None:
                return None  # it was done before, and is not paid for twice
            return spoken(tx, call.ask, MOST_CHARS)

        try:
            said = await self._engine.read(read, call)
        except Error:
            return  # the handler says what is wrong
        if said is None:
            return
        model = self._model()
        _, chars, stream, first, last, count = said
        try:
            text = await model.summary(said.text, chars)
        except UnansweredError as problem:
            call.written = Summary("", stream, note=f"{INSTEAD}: {problem}")
        else:
            call.written = Summary(text, stream, first, last, count, method=model.name)
