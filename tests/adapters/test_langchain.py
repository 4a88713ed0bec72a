"""LangChain's chat histories and key-value stores on the daemon. The latter pass the tests that LangChain ships for them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

pytest.importorskip(
    "langgraph.store.base", reason="LEFT OUT: the extra langchain is not installed (scripts/test --adapters)"
)
conformance = pytest.importorskip(
    "langchain_tests.integration_tests.base_store",
    reason="LEFT OUT: LangChain's own tests are not installed (scripts/test --adapters)",
)

from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory

from enhanced_memory.client import Memory
from enhanced_memory.client.adapters.langchain import EnhancedChatMessageHistory, EnhancedKeyValueStore
from enhanced_memory.client.errors import Refused
from enhanced_memory.client.values import EntityInput, MessageInput

_names = itertools.count(1)

SAID: list[BaseMessage] = [
    SystemMessage("be brief"),
    HumanMessage("what is the weather in Zurich?", name="Ada"),
    AIMessage(
        "",
        id="run-1",
        tool_calls=[{"name": "weather", "args": {"city": "Zurich"}, "id": "call-1", "type": "tool_call"}],
        usage_metadata={"input_tokens": 12, "output_tokens": 7, "total_tokens": 19},
    ),
    ToolMessage("sunny", tool_call_id="call-1", artifact={"raw": [1, 2]}),
    AIMessage([{"type": "text", "text": "It is sunny."}, {"type": "image_url", "image_url": {"url": "x:y"}}]),
    ChatMessage("hm", role="narrator"),
    HumanMessage("Grüße aus Zürich 知識 \n\n😀"),
]


# Old and on their way out at LangChain, and still what programs call.
pytestmark = pytest.mark.filterwarnings("ignore::langchain_core._api.deprecation.LangChainDeprecationWarning")

# Key-value stores: what LangChain ships


class TestKeyValueStore(conformance.BaseStoreSyncTests):
    """The plain face."""

    @pytest.fixture
    def kv_store(self, memory: Memory) -> EnhancedKeyValueStore:
        return EnhancedKeyValueStore(memory)

    @pytest.fixture
    def three_values(self) -> tuple[str, Any, Any]:
        return "one", {"two": [2, None]}, 3.5


class TestAsyncKeyValueStore(conformance.BaseStoreAsyncTests):
    """The awaited one."""

    @pytest.fixture
    async def kv_store(self, memory: Memory) -> AsyncIterator[EnhancedKeyValueStore]:
        made = EnhancedKeyValueStore(memory)
        yield made
        await made.store.aclose()

    @pytest.fixture
    def three_values(self) -> tuple[str, Any, Any]:
        return "one", {"two": [2, None]}, 3.5


def test_namespaces_keep_keys_apart(memory: Memory) -> None:
    one, other = EnhancedKeyValueStore(memory), EnhancedKeyValueStore(memory, namespace="other")
    one.mset([("k", 1)])
    other.mset([("k", 2)])
    assert (one.mget(["k"]), other.mget(["k"])) == ([1], [2])
    one.mdelete(["k", "nothing"])
    assert (list(one.yield_keys()), list(other.yield_keys())) == ([], ["k"])


# Chat histories


class Face:
    """A history, asked by one of its faces."""

    def __init__(self, memory: Memory, face: str) -> None:
        self.history = EnhancedChatMessageHistory(f"talk {next(_names)}", memory)
        self._loop = asyncio.new_event_loop() if face == "async" else None

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        assert self._loop is not None
        return self._loop.run_until_complete(work)

    @property
    def messages(self) -> list[BaseMessage]:
        return self._wait(self.history.aget_messages()) if self._loop else self.history.messages

    def add(self, messages: list[BaseMessage]) -> None:
        self._wait(self.history.aadd_messages(messages)) if self._loop else self.history.add_messages(messages)

    def clear(self) -> None:
        self._wait(self.history.aclear()) if self._loop else self.history.clear()

    def close(self) -> None:
        if self._loop:
            self._wait(self.history.aclose())
            self._loop.close()


@pytest.fixture(params=["sync", "async"])
def face(memory: Memory, request: pytest.FixtureRequest) -> Iterator[Face]:
    made = Face(memory, request.param)
    yield made
    made.close()


def test_messages_come_back_as_those_of_the_history_in_memory(face: Face) -> None:
    other = InMemoryChatMessageHistory()
    assert face.messages == other.messages == []
    for messages in (SAID[:3], SAID[3:4], SAID[4:], []):
        face.add(messages)
        other.add_messages(messages)
        assert face.messages == other.messages
    assert [type(one) for one in face.messages] == [type(one) for one in SAID]
    face.clear()
    other.clear()
    assert face.messages == other.messages == []
    face.clear()
    face.add(SAID[:1])
    assert face.messages == SAID[:1]


def test_one_message_at_a_time_will_do(memory: Memory) -> None:
    history = EnhancedChatMessageHistory("talk", memory)
    history.add_user_message("hello")
    history.add_ai_message("hi")
    history.add_message(SystemMessage("be brief"))
    assert [(one.type, one.content) for one in history.messages] == [
        ("human", "hello"),
        ("ai", "hi"),
        ("system", "be brief"),
    ]
    assert "hello" in str(history)


def test_thousands_of_messages_come_back_in_order(face: Face) -> None:
    face.add([HumanMessage(str(number)) for number in range(1200)])
    assert [one.content for one in face.messages] == [str(number) for number in range(1200)]


def test_sessions_keep_apart_and_outlive_the_object(memory: Memory) -> None:
    EnhancedChatMessageHistory("a", memory).add_messages([HumanMessage("in a")])
    EnhancedChatMessageHistory("b", memory).add_messages([HumanMessage("in b")])
    assert [one.content for one in EnhancedChatMessageHistory("a", memory).messages] == ["in a"]


def test_another_thing_of_the_session_s_name_takes_no_message_away(face: Face, memory: Memory) -> None:
    memory.create_entities([EntityInput(face.history.session_id, "note", ["called alike"])])
    face.add([HumanMessage("hello")])
    assert [one.content for one in face.messages] == ["hello"]


def test_what_is_said_is_a_message_of_the_daemon_like_any_other(memory: Memory) -> None:
    history = EnhancedChatMessageHistory("talk", memory)
    history.add_messages(SAID)
    kept = memory.recent_messages("talk", limit=100).messages
    assert [(one.role, one.speaker) for one in kept[:4]] == [
        ("system", ""),
        ("user", "Ada"),
        ("assistant", ""),
        ("tool", ""),
    ]
    assert [one.content for one in kept][4:6] == ["It is sunny.", "hm"]
    assert (kept[5].role, kept[5].speaker) == ("user", "narrator")
    assert kept[2].tokens == 7
    assert memory.search_messages("weather", stream="talk").hits[0].message.content == SAID[1].content
    memory.append_messages(
        "talk", [MessageInput("from elsewhere", role="assistant"), MessageInput("so it is", role="developer")]
    )
    told = history.messages[-2:]
    assert [(type(one), one.content) for one in told] == [(AIMessage, "from elsewhere"), (ChatMessage, "so it is")]


def test_a_chain_of_langchain_carries_its_history(memory: Memory) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "brief"), MessagesPlaceholder("history"), ("human", "{said}")]
    )
    model = FakeListChatModel(responses=["Hello Ada.", "You are Ada."])
    make: Callable[[str], EnhancedChatMessageHistory] = lambda session: EnhancedChatMessageHistory(session, memory)  # noqa: E731
    chain = RunnableWithMessageHistory(prompt | model, make, input_messages_key="said", history_messages_key="history")
    config: Any = {"configurable": {"session_id": "s1"}}
    assert chain.invoke({"said": "I am Ada"}, config).content == "Hello Ada."
    assert asyncio.run(chain.ainvoke({"said": "Who am I?"}, config)).content == "You are Ada."
    assert [one.content for one in make("s1").messages] == ["I am Ada", "Hello Ada.", "Who am I?", "You are Ada."]


WRONG: dict[str, BaseMessage] = {
    "a NUL": HumanMessage("a\0b"),
    "a megabyte of a name": HumanMessage("x", name="x" * 1_000_000),
    "two megabytes": HumanMessage("x" * 2_000_000),
    "what is not JSON": HumanMessage("x", additional_kwargs={"n": float("inf")}),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_what_cannot_be_kept_is_refused_and_nothing_of_it_kept(face: Face, wrong: BaseMessage) -> None:
    face.add([HumanMessage("first")])
    with pytest.raises(Refused):
        face.add([HumanMessage("beside"), wrong])
    assert [one.content for one in face.messages] == ["first"]


def test_a_session_without_a_name_is_refused(memory: Memory) -> None:
    with pytest.raises(Refused):
        EnhancedChatMessageHistory(" ", memory).add_messages([HumanMessage("x")])
