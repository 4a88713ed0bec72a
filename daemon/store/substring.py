"""A plain look for a piece of text in what entities say, where the words index knows whole words alone.

No index serves it: bodies are opened one after another, those changed last first, and never more than the caller
allows.
"""

from typing import Any

from enhanced_memory.daemon.store import past
from enhanced_memory.daemon.store.bodies import State, decoded
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import Known
from enhanced_memory.daemon.store.views import View

__all__ = ["MAX_BYTES", "containing", "holds"]

PAGE = 500
MAX_BYTES = 64 * 1024 * 1024
"""Plain bytes looked at, however many bodies are allowed: a few of them may be huge."""


def containing(
    ground: Ground, known: Known, sought: str, bodies: int, view: View, *also: str, **values: Any
) -> tuple[list[int], bool]:
    """The entities whose name, type or any observation contains `sought`, whatever the case; and whether all were
    looked at.

    `bodies` is how many are opened at most. `also` names conditions that the entities must meet. In a layer of the past
    what was changed since is looked at as it was then, after the rest.
    """
    needle = sought.lower()
    if not needle or "\0" in needle:
        return [], True
    found: list[int] = []
    left, room = bodies, MAX_BYTES
    for depth, layer in view:
        beyond, beyond_id = 1 << 62, 1 << 62
        while True:
            wanted = min(PAGE, left)
            if wanted <= 0 or room <= 0:
                return found, False
            rows = ground.rows.all(
                "bodies", *also, space=layer.space, at=layer.at, nearer=view.nearer(depth), now=ground.now,
                beyond=beyond, beyond_id=beyond_id, limit=wanted, **values,
            )  # fmt: skip
            for entity, _, checksum, body in rows:
                raw = ground.codec.plain(body, checksum)
                room -= len(raw)
                # Bytes first: decoding what cannot match would cost most of the time. No text is torn by it: what
                # stands between texts is never read as part of one.
                if needle in raw.decode("utf-8", "replace").lower() and holds(decoded(raw), needle):
                    found.append(entity)
            left -= len(rows)
            if len(rows) < wanted:
                break
            beyond, beyond_id = rows[-1][1], rows[-1][0]
    if not view.now:
        for one in known.changed_since(view):
            if left <= 0 or room <= 0:
                return found, False
            left, room = left - 1, room - len(one.raw)
            if not one.deleted and holds(one.state, needle) and past.meets(one, also, values | {"now": ground.now}):
                found.append(one.id)
    return found, True


def holds(state: State, needle: str) -> bool:
    """Whether name, type or any one observation contains `needle`, which is in lower case."""
    return (
        needle in state.name.lower()
        or needle in state.type.lower()
        or any(needle in noted.text.lower() for noted in state.observations)
    )
