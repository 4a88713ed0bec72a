"""What each account on this machine may do here, and how much of it at once.

The daemon's own account and root may do everything. Others are served where the settings `serve_users` or `roles` name them, and
may `read`, `write` (unless said otherwise), or `admin`. Who is there, the kernel says; a client can only narrow its rights.
"""

import os
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, cast, get_args

from enhanced_memory.client.errors import Busy, Denied, Invalid
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.call import Call

__all__ = ["ADMIN_ONLY", "Allowance", "Role", "own", "role_of", "roles"]

Role = Literal["read", "write", "admin"]

ADMIN_ONLY = frozenset(("access_log", "backup", "delete_space", "metrics", "purge_entities", "reindex", "verify"))
"""These write files, cannot be undone, cost much, or tell of everybody: for an account with the role `admin`."""


def own(uid: int) -> bool:
    """Whether that is the daemon's account, or root."""
    return uid in (os.getuid(), 0)


def roles(settings: Settings) -> dict[str, Role]:
    """The roles that the settings give, by account; `*` for whoever else is served. `Invalid` where they cannot be understood."""
    given: dict[str, Role] = {name: "write" for name in settings.serve_users.replace(" ", "").split(",") if name}
    for part in settings.roles.split(","):
        name, equals, role = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if not name or not equals or role not in get_args(Role):
            raise Invalid(
                f"The setting roles holds {part.strip()[:60]!r}.", "write it as `ada=read, bob=admin, *=write`"
            )
        given[name] = cast(Role, role)
    return given


def role_of(uid: int, user: str, given: dict[str, Role]) -> Role | None:
    """What an account may do; None: it is not served."""
    return "admin" if own(uid) else given.get(user) or given.get("*")


def admit(call: Call) -> None:
    """Let a call pass. `Denied` where it wants another role."""
    if not call.peer.admin and call.ask.op in ADMIN_ONLY:
        raise Denied(
            f"{call.ask.op} wants the role admin.", "the setting `roles` gives it, or the daemon's own account has it"
        )


@dataclass(slots=True)
class Allowance:
    """How many requests each account other than the daemon's may make a second: a bucket that holds two seconds' worth."""

    per_s: float
    _left: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])

    def take(self, uid: int) -> None:
        """Count a request. `Busy` where the account has used up what it may."""
        if not self.per_s or own(uid):
            return
        now = monotonic()
        left, at = self._left.get(uid, (2 * self.per_s, now))
        left = min(2 * self.per_s, left + (now - at) * self.per_s)
        if left < 1:
            self._left[uid] = left, now
            raise Busy(f"User {uid} has asked more than {self.per_s:g} times a second.")
        self._left[uid] = left - 1, now
