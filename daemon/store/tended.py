"""What curation reads of a space, past what its entities say: what has expired, what stands how, what was undone."""

from enhanced_memory.daemon.store.ground import Ground

__all__ = ["Tended"]


class Tended:
    """Reads the caller's own space, without those that it reads through to: each of them is tended by itself."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def expired(self, beyond: tuple[int, int] | None, limit: int) -> list[tuple[int, int]]:
        """What has expired and is not deleted yet, `(when, entity)`, the first to expire first."""
        view = self._ground.view
        if view.names[:1] != (self._ground.space_name,):
            return []  # nothing was ever written to it
        when, entity = beyond or (-(1 << 62), 0)
        rows = self._ground.rows.all(
            "expired", space=view.layers[0].space, now=self._ground.now, beyond=when, beyond_id=entity, limit=limit
        )
        return [(row[0], row[1]) for row in rows]

    def spaces_expiring(self) -> list[str]:
        """The spaces in which something has expired."""
        return [row[0] for row in self._ground.rows.all("spaces_expiring", now=self._ground.now)]
