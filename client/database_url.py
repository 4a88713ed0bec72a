"""The URL of a database: what it is called without its password, and what the environment names where it leaves the place out."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

__all__ = ["Named", "completed", "file_name", "from_environment", "is_database", "meant_for", "without_password"]

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGDATABASE", "PGSERVICE")
_PLACES = ("host", "hostaddr", "dbname", "service", "user")

_FAMILIES = (
    {"host": "POSTGRES_HOST", "port": "POSTGRES_PORT", "database": "POSTGRES_DB", "user": "POSTGRES_USER",
     "password": "POSTGRES_PASSWORD"},
    {"host": "DB_HOST", "port": "DB_PORT", "database": "DB_NAME", "user": "DB_USER", "password": "DB_PASSWORD"},
)  # fmt: skip
"""Names that other memory systems read. A family counts where it names a host or a database."""


class Named(NamedTuple):
    """What one family of variables says."""

    url: str
    """Without a password."""
    password: str
    family: str
    """What its names begin with."""


def is_database(store: str) -> bool:
    """Whether a store is a database on a server, and no file."""
    return store.startswith(("postgresql://", "postgres://"))


def without_password(url: str) -> str:
    """A URL that may be told to anybody."""
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if "password" not in name]
    return _url(user.partition(":")[0] + at + place, parts.path, urlencode(query, safe="/,:"), parts.scheme)


def file_name(url: str) -> str:
    """A name for files that belong to a database."""
    return re.sub(r"[^\w.-]+", "_", url.partition("://")[2]).strip("_") + ".postgresql"


def from_environment(environment: Mapping[str, str]) -> Named | None:
    """The database that POSTGRES_* name, else DB_*; none where libpq's own names (PGHOST …) say where it is, or nothing does.

    Without a host it is `localhost`, as in the systems whose names these are.
    """
    if any(environment.get(name) for name in _LIBPQ):
        return None
    for family in _FAMILIES:
        said = {part: environment.get(name, "").strip() for part, name in family.items()}
        if not said["host"] and not said["database"]:
            continue
        host = said["host"] or "localhost"
        folder = host.startswith("/")  # of a Unix socket
        place = "" if folder else f"[{host}]" if ":" in host else host
        user = quote(said["user"], safe="") + "@" if said["user"] else ""
        port = ":" + said["port"] if said["port"] and not folder else ""
        query = {"host": host} | ({"port": said["port"]} if said["port"] else {}) if folder else {}
        url = _url(user + place + port, "/" + quote(said["database"], safe=""), urlencode(query, safe="/"))
        return Named(url, environment.get(family["password"], ""), family["host"].removesuffix("HOST"))
    return None


def completed(url: str, environment: Mapping[str, str]) -> str:
    """A URL that leaves out where the database is (`postgresql://`), with the place that the environment names; any other as it is."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if parts.netloc or parts.path not in ("", "/") or any(name in _PLACES for name, _ in query):
        return url
    named = from_environment(environment)
    if named is None:
        return url
    place = urlsplit(named.url)
    return _url(place.netloc, place.path, urlencode(parse_qsl(place.query) + query, safe="/,:"))


def meant_for(url: str, named: Named) -> bool:
    """Whether a URL is of the place that the environment names, so that the password there is for it."""
    return _place(url) == _place(named.url)


def _url(place: str, path: str, query: str, scheme: str = "postgresql") -> str:
    # `urlunsplit` leaves the slashes out where nothing stands between them.
    return f"{scheme}://{place}{path}" + ("?" + query if query else "")


def _place(url: str) -> tuple[str, str, str]:
    """User, host and database of a URL."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return (unquote(parts.netloc.rpartition("@")[0].partition(":")[0]), parts.netloc.rpartition("@")[2] or query.get("host", ""),
            unquote(parts.path.lstrip("/")))  # fmt: skip
