# The packages of the extra `langchain` may not be there, and leave parts of their types open:
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
"""A LangGraph `BaseStore` on the daemon: items by namespace and key, filters, search, time to live, both faces."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, cast

from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.sync import Memory

try:
    from langgraph.store.base import BaseStore, ensure_embeddings
except ImportError as missing:
    raise ImportError(
        "The store for LangGraph needs its packages: pip install 'enhanced-memory[langchain]'"
    ) from missing

from enhanced_memory.client.adapters.langgraph_steps import Steps, StoreSteps, Texts

__all__ = ["EnhancedStore"]


class EnhancedStore(BaseStore):
    """Items in the daemon's space, each an entity of the type `store_item` whose history is kept.

    With `index` (`dims`, `embed`, `fields`, as LangGraph's stores take it) `search` compares embeddings of that function, kept under
    the name `model`, and scores are cosines. Without it the daemon's own search answers: words and its own model of meaning.
    `ttl` may hold `default_ttl` (minutes) and `refresh_on_read`.
    """

    __slots__ = ("_amemory", "_embed", "_own", "_plan", "memory", "model", "ttl_config")

    supports_ttl = True

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        index: dict[str, Any] | None = None,
        ttl: dict[str, Any] | None = None,
        model: str = "langgraph",
        **settings: Any,
    ) -> None:
        self.memory = memory or Memory(client="langgraph", **settings)
        self._own = memory is None
        self._amemory: AsyncMemory | None = None
        self.ttl_config: Any = ttl
        self.model = model
        self._embed: Any = ensure_embeddings(index["embed"]) if index else None
        self._plan = StoreSteps(model, index)

    def close(self) -> None:
        """End the connection, unless it was given."""
        if self._own:
            self.memory.close()

    async def aclose(self) -> None:
        """End both connections; the plain one, unless it was given."""
        if self._amemory is not None:
            await self._amemory.close()
        self.close()

    def batch(self, ops: Iterable[Any]) -> list[Any]:
        """Carry out operations. Reads see what was there before the batch; of several puts of one key the last one counts."""
        return cast("list[Any]", self._run(self._plan.batch(list(ops))))

    async def abatch(self, ops: Iterable[Any]) -> list[Any]:
        """The same, awaited."""
        return cast("list[Any]", await self._arun(self._plan.batch(list(ops))))

    def keys(self, namespace: tuple[str, ...]) -> list[str]:
        """The keys of all items of exactly this namespace, in the order of their making."""
        return cast("list[str]", self._run(self._plan.keys(namespace)))

    async def akeys(self, namespace: tuple[str, ...]) -> list[str]:
        """The same, awaited."""
        return cast("list[str]", await self._arun(self._plan.keys(namespace)))

    # Who waits

    def _run(self, steps: Steps) -> Any:
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, Texts):
                    asked = steps.send(self._vectors(asked))
                else:
                    asked = steps.send(self.memory.send_all(asked))
        except StopIteration as done:
            return done.value

    async def _arun(self, steps: Steps) -> Any:
        if self._amemory is None:
            self._amemory = AsyncMemory(replace(self.memory.settings, space=self.memory.space), client="langgraph")
        client = self._amemory
        try:
            asked = next(steps)
            while True:
                if isinstance(asked, Texts):
                    asked = steps.send(await self._avectors(asked))
                else:
                    asked = steps.send(
                        list(await asyncio.gather(*(client.send(one) for one in asked), return_exceptions=True))
                    )
        except StopIteration as done:
            return done.value

    def _vectors(self, asked: Texts) -> list[Any]:
        if asked.query:
            return [self._embed.embed_query(text) for text in asked.texts]
        return list(self._embed.embed_documents(asked.texts))

    async def _avectors(self, asked: Texts) -> list[Any]:
        if asked.query:
            return [await self._embed.aembed_query(text) for text in asked.texts]
        return list(await self._embed.aembed_documents(asked.texts))
