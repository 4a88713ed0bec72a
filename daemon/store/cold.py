"""Cold storage as the store knows it: which files there are, and which entity lies in which."""

from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.errors import Broken, StoreDamaged
from enhanced_memory.daemon.store import cold_files
from enhanced_memory.daemon.store.cold_files import Group, Written
from enhanced_memory.daemon.store.ground import Ground

__all__ = ["KEY_OF", "Address", "Cold", "File"]

OPEN_FILES = 2
"""Files that one request keeps open."""
KEY_OF = "cold_key/"
"""Before a file's name: the key in `meta` of what it is encrypted with."""
DAY_MS = 86_400_000
FOR_EVER_MS = 100 * 365 * DAY_MS


class File(msgspec.Struct, array_like=True):
    """A file of cold storage."""

    id: int
    name: str
    at: int
    bytes: int
    sha256: str
    due: int
    """When it may be deleted; 0: it is needed."""


class Address(msgspec.Struct, array_like=True):
    """Where an archived entity lies."""

    space: int
    entity: int
    file: int
    at: int
    versions: int
    messages: int


class Cold:
    """Reads and writes what the store knows of cold storage."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.made: list[str] = []
        """Files that this transaction begins to need; they get their names once it stands."""
        self.gone: list[str] = []
        """Files that are to be deleted once this transaction stands."""
        self.holding: list[str] = []
        """Damaged files that may hold what was taken out, and that others lie in."""
        self._open: dict[int, dict[tuple[int, int], Group]] = {}

    @property
    def folder(self) -> Path:
        """Where the files lie."""
        return self._ground.settings.cold_path

    @property
    def _store_id(self) -> str:
        row = self._ground.rows.one("get_meta", key="store_id")
        said: Any = row[0] if row else ""
        return said if isinstance(said, str) else bytes(said).decode()

    # Files

    def files(self) -> list[File]:
        """Every file that the store knows, those among them that are to go."""
        return [File(*row) for row in self._ground.rows.all("cold_files")]

    def file(self, number: int) -> File:
        """A file by its number."""
        row = self._ground.rows.one("cold_file", id=number)
        if row is None:
            raise Broken(f"File {number} of cold storage is not known.")
        return File(*row)

    def add(self, written: Written) -> int:
        """Note a file that was written; its number."""
        self._ground.rows.run(
            "add_cold_file", name=written.name, at=self._ground.now, bytes=written.bytes, sha256=written.sha256
        )
        row = self._ground.rows.one("cold_file_named", name=written.name)
        if row is None:
            raise Broken("A file of cold storage was noted and is not there.")
        if written.key:
            self._ground.rows.run("set_meta", key=KEY_OF + written.name, value=written.key.encode())
        self.made.append(written.name)
        return row[0]

    def keyless(self) -> set[str]:
        """Files whose contents nobody can read any more: they are encrypted, and their key is lost."""
        return {one.name for one in self.files() if one.name.endswith(cold_files.SEALED) and not self._key(one.name)}

    def _key(self, name: str) -> str:
        row = self._ground.rows.one("get_meta", key=KEY_OF + name)
        return bytes(row[0]).decode() if row else ""

    def _read(self, file: File) -> list[Group]:
        return cold_files.read(self.folder, file.name, file.sha256, self._ground.rows.sealing, self._key(file.name))

    def drop(self, names: Iterable[str]) -> None:
        """Know files no more; they have been deleted."""
        for name in names:
            self._ground.rows.run("drop_cold_entities", name=name)
            self._ground.rows.run("drop_cold_file", name=name)
            self._ground.rows.run("drop_meta", key=KEY_OF + name)

    # Addresses

    def address(self, space: int, entity: int) -> Address | None:
        """Where a space's entity lies, if it is archived."""
        row = self._ground.rows.one("cold_address", space=space, entity=entity)
        return None if row is None else Address(*row)

    def addresses(self, after: int, limit: int) -> list[Address]:
        """The archived entities of the caller's view in the order of their ids."""
        spaces = _json(layer.space for layer in self._ground.view.layers)
        rows = self._ground.rows.all("cold_addresses", spaces=spaces, after=after, limit=limit)
        return [Address(*row) for row in rows]

    def all_addresses(self, space: int, entity: int, limit: int) -> list[Address]:
        """The archived entities of all spaces behind one, in the order of spaces and ids."""
        rows = self._ground.rows.all("cold_all", space=space, entity=entity, limit=limit)
        return [Address(*row) for row in rows]

    def count(self) -> tuple[int, int, int]:
        """How many files are needed, their bytes, and how many entities lie in them."""
        row = self._ground.rows.one("cold_count")
        return (row[0], row[1] or 0, row[2]) if row else (0, 0, 0)

    def keep(self, group: Group, file: int) -> None:
        """Note that an entity lies in a file from now on."""
        self._ground.rows.run(
            "add_cold_entity", space=group.space, entity=group.entity, file=file, at=self._ground.now,
            versions=len(group.versions), messages=len(group.messages),
        )  # fmt: skip

    def leave(self, address: Address) -> None:
        """Note that an entity was brought back. A file that nothing is left of may go once no backup may need it."""
        rows = self._ground.rows
        rows.run("leave_cold", space=address.space, entity=address.entity, file=address.file)
        left = rows.one("cold_living", file=address.file)
        if left is None or not left[0]:
            days = self._ground.settings.backup_keep_days
            due = self._ground.now + (int(days * DAY_MS) if days else FOR_EVER_MS)
            rows.run("set_cold_due", id=address.file, due=due)

    # What lies there

    def group(self, address: Address) -> Group:
        """What a file holds of an entity. `StoreDamaged` where the file is missing or altered."""
        known = self._open.get(address.file)
        if known is None:
            file = self.file(address.file)
            groups = self._read(file)
            if len(self._open) >= OPEN_FILES:
                self._open.pop(next(iter(self._open)))
            known = self._open[address.file] = {(one.space, one.entity): one for one in groups}
        found = deepcopy(known.get((address.space, address.entity)))
        if found is None:
            raise Broken(f"File {address.file} of cold storage lacks entity {address.entity}.")
        return found

    def taken_out(self, entity: int, spaces: Iterable[int]) -> list[Group]:
        """Take an entity out of every file that has it, also what was brought back from there; what they said of it.

        Each of the files is written anew without it, under another name, and is deleted once this transaction stands. One that is
        missing or damaged cannot be written anew: it is deleted if nobody else lies in it, else left for `holding` to name.
        """
        rows = self._ground.rows
        found: list[Group] = []
        within = _json(spaces)
        for number, _ in dict.fromkeys((row[0], 0) for row in rows.all("cold_files_of", entity=entity, spaces=within)):
            file = self.file(number)
            mine = {row[0] for row in rows.all("cold_spaces_of", file=number, entity=entity, spaces=within)}
            rows.run("drop_cold_of", file=number, entity=entity, spaces=within)
            self._open.pop(number, None)
            try:
                groups = self._read(file)
            except StoreDamaged:
                if rows.all("cold_of_file", file=number):
                    self.holding.append(file.name)
                    continue
                groups = []
            taken = [one for one in groups if one.entity == entity and one.space in mine]
            left = [one for one in groups if one.entity != entity or one.space not in mine]
            found += taken
            if left:
                fresh = self.add(cold_files.write(self.folder, self._store_id, left, rows.sealing))
                rows.run("move_cold", file=number, to=fresh)
                rows.run("set_cold_due", id=fresh, due=file.due)
            rows.run("set_cold_due", id=number, due=self._ground.now)
            self.gone.append(file.name)
        return found


def _json(values: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(set(values))).decode()
