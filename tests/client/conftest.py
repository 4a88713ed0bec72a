"""A client of either face, asked in one way: what a test says of one, it says of both."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.request import Request

from ..conftest import on_every_engine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What operations do is the same on every engine; how clients connect has nothing to do with it."""
    if metafunc.module.__name__.endswith("test_operations"):
        on_every_engine(metafunc)


class Face:
    """`Memory`, or `AsyncMemory` on an event loop of its own, with every call waited for."""

    def __init__(self, kind: str, *settings: Any, **given: Any) -> None:
        self.kind = kind
        self._loop = asyncio.new_event_loop() if kind == "async" else None
        self.client: Any = AsyncMemory(*settings, **given) if self._loop else Memory(*settings, **given)

    def wait(self, awaited: Any) -> Any:
        return self._loop.run_until_complete(awaited) if self._loop else awaited

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """A method of the client."""

        async def run() -> Any:
            return await getattr(self.client, name)(*args, **kwargs)

        return self._loop.run_until_complete(run()) if self._loop else getattr(self.client, name)(*args, **kwargs)

    def send(self, ask: Request[Any], **how: Any) -> Any:
        return self.call("send", ask, **how)

    def send_all(self, asks: list[Request[Any]], **how: Any) -> list[Any]:
        """Many at once; an error stands in its request's place."""

        async def run() -> list[Any]:
            return list(await asyncio.gather(*(self.client.send(ask, **how) for ask in asks), return_exceptions=True))

        return self._loop.run_until_complete(run()) if self._loop else self.client.send_all(asks, **how)

    def close(self) -> None:
        self.call("close")
        if self._loop:
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[Callable[..., Face]]:
    """Makes clients of one face; the daemon they start is this test's own."""
    made: list[Face] = []

    def face(*settings: Any, **given: Any) -> Face:
        made.append(Face(request.param, *settings, **given))
        return made[-1]

    yield face
    for one in made:
        one.close()
