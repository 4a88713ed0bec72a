"""Reading the settings anew while the daemon runs (SIGHUP): what can be changed so is, the rest is told."""

import logging
from dataclasses import fields

from enhanced_memory.client.settings import PERSONAL, Settings

__all__ = ["LIVE", "adopt", "level"]

log = logging.getLogger(__name__)

LIVE = (
    "access_keep_days", "access_log", "answers_keep_days", "backup_every_h", "backup_folder", "backup_keep_count",
    "backup_keep_days", "backup_second_folder", "check_conflicts", "frame_timeout_s", "idle_exit_s", "log_level",
    "max_connections", "max_name_chars", "max_pending", "max_text_chars", "roles", "serve_users", "unsent_timeout_s",
    "user_connections", "user_requests_s",
)  # fmt: skip
"""Settings that hold from the next use on. The others hold from the next start on."""


def level(settings: Settings) -> str:
    """The level of the log; INFO where the setting names none."""
    wanted = settings.log_level.upper()
    return wanted if wanted in ("DEBUG", "INFO", "WARNING", "ERROR") else "INFO"


def adopt(settings: Settings, fresh: Settings) -> tuple[list[str], list[str]]:
    """Let `settings` say what `fresh` says, as far as it can be changed; the names of what was, and of what waits for a start."""
    changed = [
        entry.name
        for entry in fields(Settings)
        if entry.name not in PERSONAL and getattr(settings, entry.name) != getattr(fresh, entry.name)
    ]
    taken = [name for name in changed if name in LIVE]
    for name in taken:
        # One object that everybody holds: nothing else in this house changes it.
        object.__setattr__(settings, name, getattr(fresh, name))
    return taken, [name for name in changed if name not in LIVE]
