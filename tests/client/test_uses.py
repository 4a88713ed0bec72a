"""Reads are counted, and a read is not a write."""

from collections.abc import Callable
from typing import Any

from enhanced_memory.client.values import EntityInput


def test_reads_are_counted_in_batches_and_change_nothing(face: Callable[..., Any]) -> None:
    client = face()
    client.call("create_entities", [EntityInput("Ada", "person", ["steam engines"])])
    before = client.call("get_memory_status").changes
    for _ in range(5):
        client.call("open_nodes", ["Ada"])
    client.call("search_nodes", "steam")

    def counted() -> Any:
        return client.call("list_entities").entities[0]  # a listing counts as no reading

    while counted().access_count < 6:
        pass
    found = counted()
    assert (found.access_count, found.version) == (6, 1)
    assert found.last_accessed >= found.created_at
    assert client.call("get_memory_status").changes == before
