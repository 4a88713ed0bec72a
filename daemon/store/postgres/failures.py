"""PostgreSQL's errors as ours, and which of them are worth another try."""

from collections.abc import Generator
from contextlib import contextmanager

from psycopg import DataError, OperationalError, errors
from psycopg import Error as PostgresError

from enhanced_memory.client.errors import (
    Broken,
    Error,
    Invalid,
    StoreDamaged,
    StoreFull,
    StoreRefused,
    TimedOut,
    TooLarge,
)

__all__ = ["clashed", "lost", "of_the_server", "said", "translated"]


def lost(problem: BaseException) -> bool:
    """Whether the connection is gone, so that another one may do."""
    return isinstance(problem, OperationalError) and (
        problem.sqlstate is None or problem.sqlstate.startswith(("08", "57P"))
    )


def clashed(problem: BaseException) -> bool:
    """Whether somebody else's transaction was in the way, so that the same once more may do."""
    return isinstance(problem, errors.SerializationFailure | errors.DeadlockDetected | errors.LockNotAvailable)


def of_the_server(problem: BaseException) -> bool:
    """Whether something failed that is no fault of the one change that met it: the next would fare no better, or the same again may do."""
    return lost(problem) or clashed(problem) or isinstance(problem, errors.DiskFull | errors.ReadOnlySqlTransaction)


def said(problem: BaseException) -> str:
    """The first line of what the server or libpq said; neither says a password."""
    lines = str(problem).strip().splitlines()
    return (lines[0] if lines else type(problem).__name__).rstrip(".")


@contextmanager
def translated() -> Generator[None]:
    """Inside, what psycopg raises comes out as one of our errors."""
    try:
        yield
    except Error:
        raise
    except PostgresError as problem:
        raise told(problem) from (None if isinstance(problem, OperationalError) else problem)


def told(problem: PostgresError) -> Error:
    """One of our errors for one of psycopg's."""
    match problem:
        case errors.DiskFull():
            return StoreFull("There is no space left where PostgreSQL keeps its data.")
        case errors.ReadOnlySqlTransaction():
            return StoreRefused(
                "The database takes no changes: it is a standby, or read-only.",
                "name the primary; `target_session_attrs=read-write` in the URL finds it among several hosts",
            )
        case errors.QueryCanceled():
            return TimedOut(
                "PostgreSQL cancelled a statement.", "raise the role's `statement_timeout`, or ask for less at a time"
            )
        case errors.ProgramLimitExceeded():
            return TooLarge(
                f"A value is larger than PostgreSQL's indexes hold: {said(problem)}.",
                "names, types, tags and keys may have 2,600 bytes there",
            )
        case errors.InsufficientPrivilege():
            return StoreRefused(f"The database refuses us: {said(problem)}.", "grant the role what it lacks")
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return StoreDamaged(f"PostgreSQL finds the store damaged: {said(problem)}.")
        case errors.TooManyConnections():
            return StoreRefused("PostgreSQL has no connection left for us.", "raise `max_connections`, or use a pooler")
        case DataError():
            return Invalid(f"PostgreSQL cannot keep a value: {said(problem)}.", "remove what is no text from it")
        case _ if lost(problem):
            return Broken(
                f"The connection to PostgreSQL was lost: {said(problem)}.",
                "see that the server runs; a change that carried a key may be sent again",
            )
        case _:
            return Broken(f"PostgreSQL failed: {type(problem).__name__}: {said(problem)}.")
