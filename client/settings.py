"""The settings: one table of name, default and help, and the one rule by which sockets are found.

A setting comes from an argument, else from `ENHANCED_MEMORY_<NAME>`, else from the TOML file, else from its default here.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast

from enhanced_memory.client import database_url
from enhanced_memory.client.errors import Invalid

__all__ = ["PERSONAL", "PREFIX", "Settings", "default_file", "runtime_folder", "socket_path"]

PREFIX = "ENHANCED_MEMORY_"
SOCKET_NAME = "memory-db.sock"
MAX_SOCKET_BYTES = 107
"""What `sun_path` holds on Linux, less its closing NUL."""

_EVERY = "`memoryctl config --toml` tells of every setting, whatever the file says"


def _setting(default: Any, says: str) -> Any:
    return field(default=default, metadata={"help": says})


PERSONAL = (
    "space", "agent", "session", "autostart", "timeout_s", "retry_changes",
    "reply_bytes", "confirm_deletes", "mirror",
)  # fmt: skip
"""Settings of one client, which are nothing to a daemon that it starts."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of client, daemon and command line."""

    store: str = _setting(
        "~/.memories/memory.db",
        "The SQLite file that holds everything, or a PostgreSQL database: postgresql://user@host/database.",
    )
    socket: str = _setting("", "The daemon's socket; empty: found by the rule in docs/configuration.md.")
    space: str = _setting("default", "The space to work in; `auto` is one per project, over `default`.")
    agent: str = _setting("", "How the caller calls itself; kept with every change.")
    session: str = _setting("", "The session that changes are noted under.")
    autostart: bool = _setting(True, "Whether a client starts the daemon when nobody answers.")
    connect_timeout_s: float = _setting(10.0, "Seconds to wait for a connection, a starting daemon included.")
    timeout_s: float = _setting(30.0, "Seconds to wait for an answer.")
    retry_changes: bool = _setting(
        True, "Whether clients give every change a key, so that a repeat after a lost answer is applied once."
    )
    idle_exit_s: float = _setting(
        900.0, "Seconds without a connection after which a daemon started on demand leaves; 0: never."
    )
    synchronous: str = _setting(
        "FULL",
        "SQLite's synchronous level: FULL keeps every answered change through a power cut, NORMAL may lose the last ones.",
    )
    serve_users: str = _setting(
        "", "Other users to be served, by name, with commas between; `*`: whoever the socket's permissions let in."
    )
    roles: str = _setting(
        "",
        "What other users may do, as `ada=read, bob=admin, *=write`: whoever is named is served; `write` is what `serve_users` gives.",
    )
    user_connections: int = _setting(256, "Connections that each other user may hold; 0: no limit.")
    user_requests_s: float = _setting(0.0, "Requests that each other user may make a second; 0: no limit.")
    key_file: str = _setting(
        "",
        "A file with the key that the store is encrypted with; empty: systemd's credential `enhanced-memory.key`, or no encryption.",
    )
    group_max: int = _setting(256, "Changes that may share one commit.")
    embedder: str = _setting(
        "static",
        "What understands meaning: `static` (ships with the package), `none` (words alone), or a sentence-transformers model's folder or hub name (extra `semantic`).",
    )
    check_conflicts: bool = _setting(
        False, "Whether what is stored is compared with what is there first, so that answers name its conflicts."
    )
    embedder_threads: int = _setting(1, "Threads that a sentence-transformers model computes with.")
    embedder_load_s: float = _setting(120.0, "Seconds such a model may take to load.")
    embedder_answer_s: float = _setting(60.0, "Seconds it may take for an answer before its process is ended.")
    embedder_idle_s: float = _setting(900.0, "Seconds unused after which its process ends; 0: never.")
    readers: int = _setting(2, "Threads that answer questions; for a database, each with a connection.")
    search_processes: int = _setting(
        3,
        "Processes at the most that answer searches of a file while many ask at once, each with words and vectors of its own; one less than cores.",
    )
    words_memory_mb: int = _setting(
        128, "MiB for the passages of words that were asked for; 0: every question goes to the index on disk."
    )
    vectors_indexed_from: int = _setting(
        2_000_000, "Vectors of a model from which a database's own index (HNSW) finds the nearest; 0: never."
    )
    vectors_memory_mb: int = _setting(
        256,
        "MiB for vectors as they are stored, of entities and of messages each, beside the bits that are always in memory; 0: they are read from the file.",
    )
    pool_overflow: int = _setting(
        2, "Connections to a database beside the readers' and the writer's own, for what is checked or cleared."
    )
    replicas: str = _setting("", "Read replicas of a database that answer questions: their URLs, with spaces between.")
    replica_lag_s: float = _setting(
        1.0, "Seconds that such an answer may be behind others' changes; one's own are always in it."
    )
    max_connections: int = _setting(4096, "Connections held at once; above it the one idle longest is closed.")
    max_frame_bytes: int = _setting(16 * 1024 * 1024, "The largest message taken or sent.")
    max_pending: int = _setting(256, "Unanswered requests taken from one connection before it is read no further.")
    max_unsent_bytes: int = _setting(
        4 * 1024 * 1024, "Answers waiting for a slow reader before its requests are read no further."
    )
    frame_timeout_s: float = _setting(30.0, "Seconds a half-sent message may take.")
    unsent_timeout_s: float = _setting(30.0, "Seconds a client may leave its answers unread before it is cut off.")
    max_name_chars: int = _setting(2000, "The longest name, type or tag.")
    max_text_chars: int = _setting(1_000_000, "The longest observation or message.")
    extractor: str = _setting(
        "rules",
        "What finds facts in conversations: `rules`, or `anthropic` (extra `llm`; sends them there, and costs money).",
    )
    summarizer: str = _setting(
        "extractive",
        "What sums up: `extractive` (the sentences that say most), or `anthropic` (the model below, under the same conditions).",
    )
    extractor_model: str = _setting(
        "claude-haiku-4-5", "The model that `anthropic` asks; its key is in ANTHROPIC_API_KEY."
    )
    extractor_url: str = _setting("", "Where that model is asked; empty: at Anthropic.")
    extractor_tokens_day: int = _setting(
        200_000, "Tokens that this may cost in a day (UTC); beyond it the rules find facts, and sentences sum up."
    )
    max_extract_chars: int = _setting(2_000_000, "The longest conversation that facts are extracted from in one call.")
    access_log: bool = _setting(True, "Whether it is kept who asked for what.")
    access_keep_days: float = _setting(90.0, "Days that access rows are kept.")
    relevance_half_life_days: float = _setting(
        90.0, "Days after which what nobody read, confirmed or changed has half its relevance; 0: it keeps it."
    )
    expire_after_days: str = _setting(
        "", "Days after which entities of a type expire unless they say when, as in `note=30, agent_state=0.5`."
    )
    curation: str = _setting(
        "apply", "What curation does by itself in every space: `apply` it, `propose` alone (see status), or `off`."
    )
    curation_every_h: float = _setting(24.0, "Hours between two curations; one that was missed is made up for.")
    curation_cap: float = _setting(0.01, "The share of a space's entities that curation may touch in a day.")
    answers_keep_days: float = _setting(
        7.0, "Days within which a repeated change with a key is answered instead of applied again."
    )
    backup_folder: str = _setting("~/memory_backups", "Where backups go unless told otherwise.")
    backup_second_folder: str = _setting(
        "", "Where each backup in `backup_folder` is copied to as well, on another disk say; empty: nowhere."
    )
    backup_keep_days: float = _setting(
        7.0, "Days after which a backup may be let go, the newest good one never; 0: no limit."
    )
    backup_keep_count: int = _setting(0, "Backups beyond which the oldest are let go; 0: no limit.")
    backup_every_h: float = _setting(
        0.0, "Hours after which a running daemon makes a backup by itself, where neither timer nor cron does; 0: never."
    )
    cold_folder: str = _setting(
        "",
        "Where the files of cold storage lie; empty: beside the store, in a folder of its name with `.cold` behind it.",
    )
    retention_every_h: float = _setting(
        24.0,
        "Hours between two rounds that archive what streams do not keep any more, missed ones made up for; 0: none.",
    )
    reply_bytes: int = _setting(
        0,
        "Bytes of text in one answer of an MCP tool, beyond which it is cut and says so; 0: 4 MB in the profile `compat`, 64 KB in others.",
    )
    confirm_deletes: int = _setting(
        20,
        "Deleting more entities than this in one MCP call asks the person, or wants `confirm`; not in the profile `compat`.",
    )
    mirror: str = _setting(
        "",
        "A file in the official format that is kept up to date with the space of an MCP session; `on`: the one that MEMORY_FILE_PATH names.",
    )
    sandbox: str = _setting(
        "auto",
        "Whether `execute_code` is offered: `auto` where seccomp holds the code, `insecure` in any case, `off` never.",
    )
    sandbox_engine: str = _setting(
        "restricted", "What runs the code of `execute_code`: `restricted` (RestrictedPython)."
    )
    sandbox_seconds: float = _setting(30.0, "Seconds that one run of code may take.")
    sandbox_memory_mb: int = _setting(256, "Megabytes of memory that one run of code may use.")
    sandbox_result_bytes: int = _setting(1024 * 1024, "Bytes that the result of a run may have.")
    sandbox_output_bytes: int = _setting(64 * 1024, "Bytes of printed output that are kept of a run.")
    sandbox_calls: int = _setting(500, "Calls of the memory that one run of code may make.")
    log_level: str = _setting("INFO", "How much the daemon says: DEBUG, INFO, WARNING, ERROR.")
    log_file: str = _setting("~/.memories/memory-db.log", "Where a daemon started on demand writes its log.")

    @classmethod
    def load(
        cls,
        given: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> "Settings":
        """The settings as `given`, the environment, the file and the defaults say, in this order.

        `Invalid` names a setting that does not exist or a value of the wrong type.
        """
        environment = os.environ if environment is None else environment
        named = environment.get(PREFIX + "CONFIG")
        path = file or (Path(named).expanduser() if named else default_file(environment))
        known = {entry.name: entry for entry in fields(cls)}
        values: dict[str, Any] = {}
        if path.is_file():
            try:
                table = tomllib.loads(path.read_text("utf-8"))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
                raise Invalid(f"{path} cannot be read: {problem}.", "mend the file or move it away") from None
            for name, value in table.items():
                if name not in known:
                    raise Invalid(f"{path} names a setting that does not exist: {name}.", f"take it out; {_EVERY}")
                values[name] = _typed(name, value, known[name].default, str(path))
        elif named:
            raise Invalid(f"{PREFIX}CONFIG names {path}, which is not a file.", "create it or unset the variable")
        for name, entry in known.items():
            text = environment.get(PREFIX + name.upper())
            if text is not None and text != "":
                values[name] = _typed(name, text, entry.default, PREFIX + name.upper())
        for name, value in (given or {}).items():
            if name not in known:
                raise Invalid(f"There is no setting {name}.", _EVERY)
            if value is not None:
                values[name] = _typed(name, value, known[name].default, "the argument")
        if "store" not in values and environment.get("STATE_DIRECTORY"):
            values["store"] = environment["STATE_DIRECTORY"].split(":")[0] + "/memory.db"
        if database_url.is_database(store := values.get("store", "")):
            values["store"] = database_url.completed(store, environment)
            if values["store"] != store:
                for name, variable in _POOL.items():
                    if name not in values and environment.get(variable):
                        values[name] = _typed(name, environment[variable], known[name].default, variable)
        return cls(**values)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """`inherited` changed so that a daemon which is started with it has these settings; a client's own are left out."""
        made = {name: value for name, value in inherited.items() if name not in _PERSONAL_VARIABLES}
        made |= {
            PREFIX + "STORE": self.store if self.database else str(self.store_path),
            PREFIX + "SOCKET": str(self.socket_path),
        }
        theirs = Settings.load(environment=made)
        for name in (entry.name for entry in fields(Settings)):
            mine = getattr(self, name)
            if name in PERSONAL or name in ("store", "socket") or mine == getattr(theirs, name):
                continue
            if mine == "":
                made.pop(PREFIX + name.upper(), None)
            else:
                made[PREFIX + name.upper()] = str(mine)
        return made

    @property
    def database(self) -> bool:
        """Whether the store is a database on a server, and no file."""
        return database_url.is_database(self.store)

    @property
    def store_name(self) -> str:
        """What the store is called in answers and logs: its path, or its URL without a password."""
        return database_url.without_password(self.store) if self.database else str(self.store_path)

    @property
    def store_path(self) -> Path:
        """The store as an absolute path, links resolved. For a database, where what goes with it lies on this machine."""
        if self.database:
            return Path("~/.memories").expanduser().resolve() / database_url.file_name(self.store_name)
        return Path(self.store).expanduser().resolve()

    @property
    def cold_path(self) -> Path:
        """The folder of cold storage."""
        if self.cold_folder:
            return Path(self.cold_folder).expanduser().resolve()
        return self.store_path.with_name(self.store_path.name + ".cold")

    @property
    def socket_path(self) -> Path:
        """Where the daemon of these settings listens."""
        return socket_path(self.socket)


_PERSONAL_VARIABLES = frozenset(PREFIX + name.upper() for name in PERSONAL)


_POOL = {"readers": "DB_POOL_SIZE", "pool_overflow": "DB_MAX_OVERFLOW"}
"""Settings that are taken from other systems' variables where the database is."""


def default_file(environment: Mapping[str, str]) -> Path:
    """The file that settings are read from where none is named."""
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path("~/.config").expanduser()) / "enhanced-memory" / "config.toml"


def _typed(name: str, value: Any, default: Any, where: str) -> Any:
    kind = cast("type[Any]", type(default))
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {
                "1": True,
                "true": True,
                "yes": True,
                "on": True,
                "0": False,
                "false": False,
                "no": False,
                "off": False,
            }[str(value).strip().lower()]
        if kind is str:
            if not isinstance(value, str):
                raise ValueError
            return value
        if isinstance(value, bool):
            raise ValueError
        number = kind(value)
        if not 0 <= number < float("inf") or (isinstance(value, float) and number != value):
            raise ValueError
        return number
    except (ValueError, KeyError, TypeError):
        kinds = {bool: "true or false", int: "a whole number, 0 or more", float: "a number, 0 or more", str: "text"}
        raise Invalid(f"{where}: {name} must be {kinds[kind]}, not {str(value)[:60]!r}.", _EVERY) from None


def runtime_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The folder in which sockets lie, by the one rule that every program here follows.

    `$XDG_RUNTIME_DIR/enhanced-memory`, else `/run/user/UID/enhanced-memory`, else `/run/enhanced-memory` where a system
    service listens, else `~/.memories/run`. cron and desktop-launched programs lack the variable and still find the place.
    """
    environment = os.environ if environment is None else environment
    for base in (environment.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}"):
        if base and _mine(base):
            return Path(base) / "enhanced-memory"
    if _is_socket(f"/run/enhanced-memory/{SOCKET_NAME}"):
        return Path("/run/enhanced-memory")
    home = environment.get("HOME") or os.path.expanduser("~")
    return Path(home) / ".memories" / "run"


def socket_path(setting: str = "", environment: Mapping[str, str] | None = None) -> Path:
    """The daemon's socket. `Invalid` where its path is longer than a socket's may be."""
    path = Path(setting).expanduser().absolute() if setting else runtime_folder(environment) / SOCKET_NAME
    if len(os.fsencode(path)) > MAX_SOCKET_BYTES:
        raise Invalid(
            f"The socket's path has {len(os.fsencode(path))} bytes, more than the {MAX_SOCKET_BYTES} a Unix socket may have: {path}.",
            f"set {PREFIX}SOCKET to a shorter path",
        )
    return path


def _mine(folder: str) -> bool:
    try:
        found = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
