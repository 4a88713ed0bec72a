"""Summaries as the daemon makes them: by sentences chosen in a reader, or written by a model where a setting says so."""

import msgspec

from enhanced_memory.client.operations.summaries import Summarized, SummarizeEntity
from enhanced_memory.client.request import HANDLERS
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.extraction.values import UnansweredError
from enhanced_memory.daemon.handlers.summaries import text_of
from enhanced_memory.daemon.store import Engine

__all__ = ["SUMMARIZERS", "SummingUp"]

SUMMARIZERS = ("extractive", "anthropic")


class SummingUp:
    """Answers `summarize_entity`."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    async def summarize(self, call: Call) -> Summarized:
        """The extractive summary, its text replaced by a model's where one is set and answers; `note` says why one did not."""
        ask = call.ask
        assert isinstance(ask, SummarizeEntity)
        told: Summarized = await self._engine.read(lambda tx: HANDLERS[ask.op](tx, ask), call)
        if self._settings.summarizer != "anthropic" or not told.text:
            return told
        from enhanced_memory.daemon.extraction.model import Model

        text = await self._engine.read(lambda tx: text_of(tx, ask), call)
        model = Model(self._settings, self._engine.clock)
        try:
            written = await model.summary(text, ask.chars)
        except UnansweredError as problem:
            return msgspec.structs.replace(told, note=f"by the sentences that say most: {problem}")
        return msgspec.structs.replace(told, text=written, sentences=[], method=model.name)
