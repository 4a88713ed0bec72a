"""Accesses that callers note themselves: what they asked is measured, never kept."""

import re
from typing import Any, cast

import msgspec

from enhanced_memory.client.operations.service import NoteAccess, Noted
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.text import check_data, check_name, check_text
from enhanced_memory.daemon.times import millis

__all__ = ["note_access", "scrubbed", "unquoted"]

KEYS = 32
"""Keys of a request, or items of a list in it, that are told apart; of the rest only the number is."""
DEEPEST = 3
KEY_CHARS = 60
SAYS_CHARS = 300

_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|`[^`]*`|“[^”]*”|«[^»]*»""")


def scrubbed(value: Any, depth: int = 0) -> Any:
    """What was asked, without any text of it: a text becomes its length, numbers and truth values stay."""
    if isinstance(value, str):
        return f"<{len(value)} characters>"
    if isinstance(value, dict | list) and depth >= DEEPEST:
        return f"<{len(cast('list[Any]', value))} items>"
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        kept = {key[:KEY_CHARS]: scrubbed(item, depth + 1) for key, item in list(told.items())[:KEYS]}
        return kept | ({"…": len(told) - KEYS} if len(told) > KEYS else {})
    if isinstance(value, list):
        items = cast("list[Any]", value)
        # A list of numbers is a vector as a rule, which tells what was meant.
        if len(items) > KEYS or (items and all(isinstance(item, float) for item in items)):
            return f"<{len(items)} items>"
        return [scrubbed(item, depth + 1) for item in items]
    return value


def unquoted(says: str) -> str:
    """What went wrong, without what it quotes, on one line."""
    return _QUOTED.sub("'…'", " ".join(says.split()))[:SAYS_CHARS]


@NoteAccess.handler
def note_access(tx: Tx, ask: NoteAccess) -> Noted:
    """All of them or none. They make no change: nothing that is remembered is another for it."""
    rows: list[dict[str, Any]] = []
    own = tx.call.origin()
    for row in ask.rows:
        check_name(row.op, "The access's operation", 40)
        for what, text in (
            ("session", row.session),
            ("agent", row.agent),
            ("error", row.error),
            ("address", row.address),
        ):
            check_text(text, f"The access's {what}", 200)
        check_text(row.says, "What went wrong", tx.settings.max_text_chars)
        check_data(row.request, "The access's request", tx.settings.max_text_chars)
        said = msgspec.structs.replace(own, session=row.session or own.session, agent=row.agent or own.agent)
        rows.append(
            {
                "at": millis(row.at, "The access's time") if row.at else tx.now,
                "op": row.op,
                "origin": tx.origin(said),
                "space": tx.call.peer.space,
                "pid": tx.call.peer.pid,
                "error": row.error,
                "entity": 0 if row.entity is None else row.entity if isinstance(row.entity, int) else tx.entities.get(row.entity).id,
                "address": row.address,
                "request": msgspec.json.encode(scrubbed(row.request)).decode() if row.request else "",
                "says": unquoted(row.says),
            }
        )  # fmt: skip
    tx.log.note_access(rows)
    return Noted(len(rows), tx.space_name)
