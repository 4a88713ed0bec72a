"""Who asks: a connection, and one request on it."""

from collections.abc import Collection
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol

from enhanced_memory.client.conflict_values import ConflictFound
from enhanced_memory.client.operations.facts import Extracted
from enhanced_memory.client.operations.streams import Summary
from enhanced_memory.client.request import Request
from enhanced_memory.client.values import Origin, Trust

__all__ = ["Call", "Meant", "Peer"]

_TRUST: dict[str, Trust] = {"code": "import", "import": "import", "extraction": "agent"}


@dataclass(slots=True)
class Peer:
    """A connection's other end: what the system proves of it, and what it says of itself."""

    pid: int = 0
    uid: int = 0
    user: str = ""
    client: str = ""
    agent: str = ""
    session: str = ""
    channel: str = "socket"
    space: str = "default"
    parent: str | None = None
    read_only: bool = False
    admin: bool = True
    """Whether its account may do what reaches beyond memories (`daemon/roles.py`)."""
    confined: frozenset[str] = frozenset()
    """The only spaces that it may work in; empty: any."""
    greeted: bool = False
    subscribed: bool = False
    watched: frozenset[int] = frozenset()
    """Entities whose changes are sent; empty: all."""
    seen: frozenset[str] = frozenset()
    """The spaces whose changes are sent."""
    reached: int = 0
    """How far the store's own log had come in what it was shown or wrote; of a store that has replicas."""


class Meant(Protocol):
    """What a query means: how near passages are to it."""

    def begin(self, view: Any, count: int, stream: int = 0) -> None:
        """Let the nearest messages be looked for while who asks does something else, where that is worth it."""
        ...

    @property
    def looks_among(self) -> bool:
        """Whether `nearest` can be asked of some entities alone."""
        ...

    def nearest(
        self, tx: Any, count: int, messages: bool | None = None, stream: int = 0, beside: Collection[int] = (),
        among: Collection[int] = (),
    ) -> list[tuple[int, float]]:  # fmt: skip
        """The nearest passages and their cosines: of entities or of messages, of one stream, of the entities `among`.

        Of those that share a vector, the first, and none where one is `beside`."""
        ...

    def cosines(self, tx: Any, passages: Collection[int], messages: bool | None = None) -> dict[int, float]:
        """How near given passages are; `messages` says of what they are, where they are all of one kind."""
        ...


@dataclass(slots=True)
class Call:
    """One request, and who asks."""

    peer: Peer
    ask: Request[Any]
    id: int | str = 0
    key: str | None = None
    run: str = ""
    tool: str = ""
    deadline: float | None = None
    """On the monotonic clock."""
    began: float = field(default_factory=monotonic)
    ignored: list[str] = field(default_factory=list[str])
    change: int = 0
    """The change it made, once it has made one."""
    may_lag: bool = False
    """Whether a replica may answer: it is a question, and nothing is written by what it says."""
    crowded: bool = False
    """Whether others waited when a reader took it up: what costs more of the processor to be sooner is not worth it then."""
    meaning: "Meant | None" = None
    """What the query means, where there is a model to say so."""
    conflicts: "list[ConflictFound]" = field(default_factory=list["ConflictFound"])
    """What the data to be stored conflicts with, where that was looked for."""
    facts: "Extracted | None" = None
    """What was found in the conversation that it brings, where that was looked for."""
    written: "Summary | None" = None
    """What a model wrote of the stream that it sums up, where one was asked; without text, why it wrote nothing."""
    used: list[int] = field(default_factory=list[int])
    """The entities that it read."""

    @property
    def kept_as(self) -> str:
        """Under which key the answer is kept. What is confined finds no answer that was given to somebody else."""
        key, peer = self.key or "", self.peer
        return "\n".join((*sorted(peer.confined), peer.user, key)) if peer.confined else key

    def origin(self, method: str = "manual", trust: Trust | None = None, channel: str | None = None) -> Origin:
        """Where whatever this call says comes from."""
        peer = self.peer
        channel = channel or ("code" if self.run else peer.channel)
        return Origin(
            channel=channel,
            client=peer.client,
            agent=peer.agent,
            session=peer.session,
            tool=self.tool,
            run=self.run,
            user=peer.user,
            method=method,
            trust=trust or _TRUST.get(channel, "agent"),
        )
