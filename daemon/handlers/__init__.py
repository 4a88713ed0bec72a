"""What answers each operation: plain functions of a transaction and a request, chapter by chapter.

A request without a handler, or a handler for a request that nobody can send, stops the daemon at start.
"""

from collections.abc import Collection

from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import HANDLERS, method
from enhanced_memory.daemon.handlers import (
    accesses,
    branches,
    cold,
    conflicts,
    context,
    curation,
    entities,
    facts,
    graph,
    journal,
    moving,
    reading,
    relations,
    removal,
    search,
    service,
    sessions,
    skills,
    spaces,
    streams,
    summaries,
    uniting,
    versions,
)

__all__ = [
    "accesses",
    "branches",
    "cold",
    "complete",
    "conflicts",
    "context",
    "curation",
    "entities",
    "facts",
    "graph",
    "journal",
    "moving",
    "reading",
    "relations",
    "removal",
    "search",
    "service",
    "sessions",
    "skills",
    "spaces",
    "streams",
    "summaries",
    "uniting",
    "versions",
]


def complete(attended: Collection[str]) -> None:
    """Check that every operation that clients offer is answered, by a handler or by the service itself. `TypeError` names what is not."""
    offered = {name for name, value in vars(Operations).items() if isinstance(value, method)}
    answered = HANDLERS.keys() | set(attended)
    if offered != answered:
        raise TypeError(
            f"operations that nothing answers: {sorted(offered - answered)}; answers to nothing: {sorted(answered - offered)}"
        )
