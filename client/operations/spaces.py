"""Spaces: worlds of memory, and which one a connection works in."""

from typing import Any, ClassVar

from enhanced_memory.client.request import Change, Question
from enhanced_memory.client.values import Space, Value


class CreateSpace(Change[Space]):
    """Make a space. With a parent it reads through to it; what is changed lands in the new space. A space that exists with the same parent is answered as it is."""

    name: str
    parent: str | None = None
    metadata: dict[str, Any] = {}


class UpdateSpace(Change[Space]):
    """Change what is noted about a space. What `metadata` does not name stays; a key set to null is removed.

    `max_entities` and `max_text_bytes` limit what the space holds: curation lets go of what is above (`docs/curation.md`).
    """

    name: str
    metadata: dict[str, Any]


class SpaceList(Value, frozen=True):
    """The spaces there are."""

    spaces: list[Space]
    current: str


class ListSpaces(Question[SpaceList]):
    """The spaces there are, and which one this connection works in."""

    deleted: bool = False


class DeleteSpace(Change[Space]):
    """Take a space out of use. Its memories stay in the file and come back when `create_space` names it again.

    `default` cannot be deleted, nor a space that others read through.
    """

    name: str


class Switch(Question[Space]):
    """Work in another space from now on; holds for this connection alone."""

    point: ClassVar[bool] = True

    space: str
