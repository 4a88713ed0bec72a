"""What is purged is in no file of the daemon's any more: not in the store, not in its log, not in a mirror."""

import json
from pathlib import Path

import apsw
import pytest

from enhanced_memory.client import Memory
from enhanced_memory.client.operations.entities import (
    AddObservations,
    DeleteObservations,
    ObservationsDeletion,
    ObservationsInput,
    RenameEntity,
    Tag,
)
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput

SECRETS = (b"zanzi", b"Zanzi", b"secretname", b"Secretname")


def traces(folder: Path, *, beside: tuple[str, ...] = ()) -> dict[str, list[bytes]]:
    """Which secrets stand as they are in which file below `folder`."""
    found: dict[str, list[bytes]] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name not in beside:
            data = path.read_bytes()
            held = [secret for secret in SECRETS if secret in data]
            if held:
                found[path.name] = held
    return found


def remember(memory: Memory) -> int:
    """Say the secret in every way there is, with a key each."""
    made = memory.create_entities(
        [
            EntityInput(
                "Secretname",
                "thing",
                ["zanzibar one", "Zanzibar " * 400],
                {"pkey": "zanzibar two", "list": ["zanziitem"]},
                ["zanzitag"],
            )
        ],
        message="all about zanzibar",
    )
    number = made.results[0].id
    memory.create_entities([EntityInput("Bystander", "thing", ["stays"])])
    memory.send(AddObservations([ObservationsInput("Secretname", [f"zanzibar {place}" for place in range(50)])]))
    memory.send(DeleteObservations([ObservationsDeletion("Secretname", ["zanzibar one"])]))
    memory.send(RenameEntity("Secretname", "Othersecretname"))
    memory.send(Tag(["Othersecretname", "Bystander"], ["shared"], message="why zanzibar"))
    memory.untag(["Bystander"], ["shared"], message="Bystander is no Othersecretname")
    memory.create_relations(
        [
            RelationInput("Othersecretname", "Bystander", "knows", metadata={"m": "zanzibar"}),
            RelationInput("Bystander", "Othersecretname", "knows"),
        ],
        message="zanzibar knows",
    )
    memory.append_messages(
        "Othersecretname", [MessageInput("zanzibar said", speaker="zanzibar", metadata={"z": "zanzibar"})]
    )
    memory.create_entities([EntityInput("Othersecretname", "thing", ["stays"])], on_existing="skip")
    memory.undo(dry_run=True)
    return number


@pytest.mark.engines(
    "sqlite", why="the files of a database are its server's; tests/store/test_postgres.py looks into its tables"
)
def test_no_file_holds_what_was_purged(memory: Memory, home: Path) -> None:
    mirror = home / "mirror.jsonl"
    memory.update_space("default", {"mirror": str(mirror)})
    number = remember(memory)
    memory.create_space("project", parent="default")
    memory.switch("project")
    memory.add_observations([ObservationsInput("Othersecretname", ["zanzibar in the project"])])
    memory.switch("default")
    copy = memory.backup(str(home / "backup.db"))
    before = memory.purge_entities(["Bystander nobody"], confirm=True)
    assert before.ids == []
    assert traces(home, beside=("backup.db",))
    receipt = memory.purge_entities([number], confirm=True)
    assert (receipt.ids, receipt.missing, receipt.kept_in) == ([number], [], [])
    assert (receipt.spaces, receipt.rewritten, receipt.log_emptied) == (["default", "project"], True, True)
    assert receipt.backups == [copy.path]
    assert receipt.mirrors == [str(mirror)]
    assert receipt.answers >= 5
    assert (receipt.entities[0].id, len(receipt.entities[0].sha256)) == (number, 64)
    assert traces(home, beside=("backup.db",)) == {}
    assert traces(home)["backup.db"]
    assert json.loads(mirror.read_text().splitlines()[0])["name"] == "Bystander"
    assert memory.verify().ok
    assert memory.open_nodes(["Bystander"]).entities[0].observations == ["stays"]
    memory.switch("project")
    assert memory.open_nodes([number]).missing == [number]
    assert memory.search_nodes("zanzibar").hits == []
    for row in packed(home / "memory.db"):
        assert not any(secret in row for secret in SECRETS)


def packed(store: Path) -> list[bytes]:
    """Everything that stands packed in the store, unpacked."""
    from enhanced_memory.daemon.store.bodies import Codec, built_in

    file = apsw.Connection(str(store), flags=apsw.SQLITE_OPEN_READONLY)
    codec = Codec({1: built_in()} | {row[0]: row[1] for row in file.execute("SELECT id, bytes FROM dictionaries")})
    found: list[bytes] = []
    for query in (
        "SELECT body FROM entities",
        "SELECT body FROM messages",
        "SELECT body FROM versions WHERE whole = 1",
        "SELECT answer FROM answers",
    ):
        found += [codec.unsqueeze(row[0]) for row in file.execute(query)]
    file.close()
    return found
