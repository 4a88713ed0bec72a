"""The service itself: who is there, how it fares, copies in and out."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import AccessRow, BackupMade, Limit, Number, Outcome, Ref, Value


class Behalf(Value, frozen=True):
    """For whom a trusted client asks. It only narrows rights."""

    user: str = ""
    uid: int | None = None
    pid: int | None = None
    scopes: list[str] = []
    """`read` and `write`; empty: both."""
    spaces: Annotated[list[str], Meta(max_length=64)] = []
    """The only spaces that the connection may work in, and be told of; empty: any."""


class Welcome(Value, frozen=True):
    """What the daemon is, and what it lets this connection do."""

    server: str
    version: str
    protocol: int
    pid: int
    store: str
    store_id: str
    space: str
    limits: dict[str, int]
    capabilities: list[str]


class Hello(Question[Welcome]):
    """The first frame of a connection: who asks, and in which space. A space named here that does not exist is made when it is first written to."""

    point: ClassVar[bool] = True

    protocol: int = 1
    client: str = ""
    agent: str = ""
    space: str = "default"
    session: str = ""
    channel: Annotated[str, Meta(max_length=40)] = "socket"
    parent: str | None = None
    """The parent a new space is given: what `auto` spaces read through to."""
    behalf: Behalf | None = None


class Pong(Value, frozen=True):
    """The daemon is there."""

    at: datetime


class Ping(Question[Pong]):
    """Is anybody there?"""

    point: ClassVar[bool] = True


class Meaning(Value, frozen=True):
    """How search by meaning fares."""

    state: Literal["none", "waiting", "ready", "mismatch", "failing"]
    """`none`: the settings leave it out; `waiting`: nothing is remembered yet, or the model is being loaded; `mismatch`: the stored
    vectors are of another model than the setting names, and go on serving; `failing`: words answer alone, `problem` says why."""
    embedder: str
    """The setting `embedder`."""
    model: str = ""
    """The model whose vectors serve."""
    dimension: int = 0
    fingerprint: str = ""
    arm: str = ""
    """How the nearest vectors are found."""
    vectors: int = 0
    backlog: int = 0
    """Passages that have no vector yet."""
    lag_s: float = 0.0
    """For how long the oldest of them has waited."""
    problem: str = ""
    hint: str = ""


class Reindexing(Value, frozen=True):
    """How far a reindexing is. The old index and the old vectors serve until it is done."""

    what: str
    state: Literal["running", "done"] = "running"
    step: str = ""
    """`words` or `meaning`, while it runs."""
    done: int = 0
    """Passages seen to in this step, of `total`."""
    total: int = 0
    problem: str = ""
    """What it waits for, if it does."""


class CurationStatus(Value, frozen=True):
    """What was curated last in this space, and what comes next."""

    mode: str
    """The setting `curation`: apply, propose or off."""
    last_at: datetime | None = None
    last_dry_run: bool = False
    last: dict[str, int] = {}
    """What the last run did, by rule, or would have done."""
    left: int = 0
    """What its cap left for another day."""
    session: str = ""
    """Under which it is noted, for `undo`."""
    next_at: datetime | None = None
    """When the daemon curates by itself again; none where it is off, or leaves this space out."""
    next: dict[str, int] = {}
    """What a run would find to do, by rule: settled entities and what is above a limit as it is now, the other rules as the last
    dry run found it."""
    problem: str = ""
    """What keeps memories from being looked after, if something does."""


class Status(Value, frozen=True):
    """How the memory fares."""

    server: str
    store: str
    engine: str
    space: str
    total_entities: int
    entities: int
    """Entities visible in this connection's space."""
    relations: int
    messages: int
    versions: int
    spaces: int
    changes: int
    by_type: dict[str, int]
    by_tier: dict[str, int]
    file_bytes: int
    wal_bytes: int
    body_bytes: int
    body_text_bytes: int
    compression: float
    """Share saved of the bodies' JSON text, 0 to 1."""
    search: str
    """Which arms answer searches, in words."""
    uptime_s: float
    pid: int
    memory_mb: float
    connections: int
    requests: int
    last_backup: datetime | None = None
    state: Literal["ready", "checking", "read-only", "failing"] = "ready"
    problems: list[str] = []
    meaning: Meaning | None = None
    reindexing: Reindexing | None = None
    """The last reindexing since the daemon started."""
    by_space: dict[str, int] = {}
    """Entities that each space holds itself."""
    by_age: dict[str, int] = {}
    """Entities here by when they were made: within a `day`, `week`, `month`, `year`, or `older`."""
    expiring: dict[str, int] = {}
    """Entities here that have `expired` and are not deleted yet, or expire within a `day`, `week`, `month`; each counted once."""
    curation: CurationStatus | None = None
    search_processes: int = 0
    """Processes that answer searches beside the daemon just now. `memory_mb` is the daemon's alone."""


class Reindex(Change[Reindexing]):
    """Make the words index and the vectors anew, in the background; what was there before serves until that is done.

    `meaning` is what changes to another model, once the setting `embedder` names it. The answer comes at once; ask again, or see
    `get_memory_status`, for how far it is. It is taken up again after a stop or a crash.
    """

    what: Literal["all", "words", "meaning"] = "all"


class GetMemoryStatus(Question[Status]):
    """How much is remembered, how it is stored, and whether all is well."""


class Backup(Question[BackupMade]):
    """Write a copy of the store while it is in use, open it, check it, and say what it holds.

    `to` is a folder (the copy is packed and named by its time), or a file name that does not exist yet (packed if it ends with
    `.zst`). `prune` then deletes this store's backups in that folder which the settings let go. A copy into the second folder
    or a deletion that fails is told as `problem`; the backup is made all the same.
    """

    to: str
    prune: bool = False


class Verified(Value, frozen=True):
    """What was checked, and everything that was found wrong."""

    ok: bool
    problems: list[str]
    checked: dict[str, int]
    seconds: float


class Verify(Question[Verified]):
    """Check the whole store: the file, every body's checksum, every index against what it was derived from."""

    quick: bool = False
    """Leave out the bodies of older versions, the slow part of the file check and of the comparison of indexes."""


class Ailment(Value, frozen=True):
    """Something that is not well: by name, what it is, and what helps."""

    name: str
    state: Literal["degraded", "failing"]
    """`failing`: memories cannot be kept, or not believed; `degraded`: they can, and something wants attention."""
    says: str
    remedy: str


class Wellness(Value, frozen=True):
    """How the daemon fares. Healthy means that a write was made and read back, not that nobody has complained."""

    state: Literal["healthy", "degraded", "failing"]
    ailments: list[Ailment] = []
    proven_at: datetime | None = None
    """When a write was last made and read back by another connection; at most seconds ago where it is healthy."""
    proof_ms: float = 0.0
    uptime_s: float = 0.0
    waiting: int = 0
    """Changes that wait for the writer."""
    checking: bool = False
    """Whether the store is being checked, since the daemon before ended without closing it."""


class Health(Question[Wellness]):
    """Is all well? The daemon writes something and reads it back before it answers, unless it has done so seconds ago.

    Every state that is not well has a name and says what helps. It waits for a write at most five seconds.
    """


class Exposition(Value, frozen=True):
    """Figures as Prometheus reads them (text format 0.0.4)."""

    text: str


class Metrics(Question[Exposition]):
    """What is measured since the daemon started: requests, errors and times by operation, the store, the process, its health."""


class AccessPage(Value, frozen=True):
    """Access rows, newest first."""

    rows: list[AccessRow]
    cursor: int | None = None


class AccessLog(Question[AccessPage]):
    """Who asked for what and what came of it, newest first. Rows are written in batches: a crash may take the last second's.

    What callers noted themselves (`note_access`) stands among them, under the operations that they named; `entity` asks for
    what was noted about one, `space` for what was asked in one.
    """

    limit: Limit = 100
    before: int | None = None
    ops: list[str] = []
    agent: str | None = None
    session: str | None = None
    failed: bool | None = None
    since: datetime | None = None
    entity: Number | None = None
    space: str | None = None


class AccessInput(msgspec.Struct, omit_defaults=True):
    """One access to what is remembered, as a caller tells of it."""

    op: Annotated[str, Meta(min_length=1, max_length=40)]
    entity: Ref | None = None
    """What it was about. A number is kept as it stands; a name that nothing has is refused."""
    session: str = ""
    """Empty: the connection's."""
    agent: str = ""
    error: Annotated[str, Meta(max_length=40)] = ""
    """A code for what went wrong; empty: all went well."""
    says: Annotated[str, Meta(max_length=4000)] = ""
    request: dict[str, Any] = {}
    address: Annotated[str, Meta(max_length=200)] = ""
    at: datetime | None = None
    """Now, unless given."""


class Noted(Value, frozen=True):
    """How many accesses were noted."""

    rows: int
    space: str = "default"


class NoteAccess(Change[Noted]):
    """Put accesses of an application's own into the access log: which memory, for whom, in which session, and what came of it.

    They outlive what they are about and go with `access_keep_days`. No text that was asked or quoted is kept: in `request` the
    length of each text stands in its place, from `says` what is in quotation marks is taken out. A purge empties both.
    """

    rows: Annotated[list[AccessInput], Meta(min_length=1, max_length=1000)]


class Exported(Value, frozen=True):
    """A page of records, and where the next begins. All pages of one export show the store at `change`."""

    records: list[dict[str, Any]]
    change: int
    cursor: str | None = None
    total: int = 0
    """About how many records all pages have together; 0 where it was not counted."""


class ExportData(Question[Exported]):
    """Everything that the store holds, in pages of records (`docs/export.md`).

    `full`: every space and its past; `official`: what this space shows. Give the first page's `change` with every further cursor.
    """

    limit: Annotated[int, Meta(ge=1, le=2000)] = 500
    cursor: str | None = None
    change: int | None = None
    format: Literal["full", "official"] = "full"


class Imported(Value, frozen=True):
    """What an import made of its records."""

    results: list[Outcome]
    """What became of each entity; empty where an export is restored as it was."""
    counts: dict[str, int]
    """How many of each kind were taken in, and how many were left out."""
    problems: list[str] = []
    """The records that could not be used, by their place (`record 3: …`)."""


class ImportData(Change[Imported]):
    """Take in records of an export (`full`) or of the official memory server's file (`official`).

    A store without any change takes an export as it was; into any other it is merged. Records that cannot be used are named
    in `problems`; the others are kept.
    """

    records: Annotated[list[dict[str, Any]], Meta(max_length=10_000)]
    format: Literal["full", "official"] = "full"
    on_existing: Literal["merge", "skip"] = "merge"
    job: str = ""
    """The same text for every batch of one import, so that references between batches are found. Without it a batch stands for itself."""


class Subscribed(Value, frozen=True):
    """The change number from which on events come."""

    change: int


class Subscribe(Question[Subscribed]):
    """From now on this connection is sent an event for every change in its view: `{event: "changed", change, op, space, entities}`."""

    point: ClassVar[bool] = True

    entities: list[Ref] = []


class Unsubscribe(Question[Subscribed]):
    """Send this connection no more events."""

    point: ClassVar[bool] = True
