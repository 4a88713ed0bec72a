"""A transaction as handlers see it: its footing, and the chapters of what can be said to the store."""

from typing import Any

from enhanced_memory.daemon.store.archive import Archive
from enhanced_memory.daemon.store.branches import Branches
from enhanced_memory.daemon.store.census import Census
from enhanced_memory.daemon.store.cold import Cold
from enhanced_memory.daemon.store.conflicts import Conflicts
from enhanced_memory.daemon.store.cooling import Cooling
from enhanced_memory.daemon.store.entities import Entities
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.log import Log
from enhanced_memory.daemon.store.purging import Purging
from enhanced_memory.daemon.store.rederived import Rederived
from enhanced_memory.daemon.store.relations import Relations
from enhanced_memory.daemon.store.snapshots import Snapshots
from enhanced_memory.daemon.store.spaces import Spaces
from enhanced_memory.daemon.store.streams import Streams
from enhanced_memory.daemon.store.tended import Tended
from enhanced_memory.daemon.store.transfer import Transfer
from enhanced_memory.daemon.store.vectors import Vectors
from enhanced_memory.daemon.store.words import Words

__all__ = ["Tx"]


class Tx(Ground):
    """One request's work on the store."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.words = Words(self)
        self.vectors = Vectors(self)
        self.entities = Entities(self, self.words)
        self.relations = Relations(self, self.entities)
        self.conflicts = Conflicts(self)
        self.streams = Streams(self, self.words)
        self.archive = Archive(self)
        self.cold = Cold(self)
        self.spaces = Spaces(self)
        self.snapshots = Snapshots(self)
        self.branches = Branches(self)
        self.log = Log(self)
        self.forgotten: set[str] = set()
        """What a purge in this transaction took: the texts whose traces are then cleared from the store's files."""

    def purging(self) -> Purging:
        """A purge in the caller's space."""
        return Purging(self, self.entities, self.words, self.cold)

    @property
    def cooling(self) -> Cooling:
        """Archiving out of the store and bringing back; made when asked for, which is rarely."""
        return Cooling(self, self.entities, self.vectors, self.cold)

    @property
    def rederived(self) -> Rederived:
        """What is derived, to be made anew; made when asked for, which is rarely."""
        return Rederived(self)

    @property
    def census(self) -> Census:
        """What is counted of what there is; made when asked for, which is rarely."""
        return Census(self, self.entities)

    @property
    def tended(self) -> Tended:
        """What curation reads; made when asked for, which is rarely."""
        return Tended(self)

    @property
    def transfer(self) -> Transfer:
        """The whole store as records; made when asked for, which is rarely."""
        return Transfer(self)
