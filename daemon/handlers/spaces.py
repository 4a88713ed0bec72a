"""Spaces: making, listing, retiring, switching."""

from typing import Any

from msgspec.structs import replace

from enhanced_memory.client.errors import Denied, Invalid
from enhanced_memory.client.operations.spaces import (
    CreateSpace,
    DeleteSpace,
    ListSpaces,
    SpaceList,
    Switch,
    UpdateSpace,
)
from enhanced_memory.client.values import Space
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.tended import LIMITS
from enhanced_memory.daemon.text import check_data, check_name


@CreateSpace.handler
def create_space(tx: Tx, ask: CreateSpace) -> Space:
    """The space as it is then."""
    check_name(ask.name, "The space's name", 200)
    _check(tx, ask.metadata)
    if ask.name == "auto":
        raise Invalid("'auto' means the space of the project at hand.", "choose another name")
    if ask.parent == ask.name:
        raise Invalid("A space cannot be its own parent.", "name another parent, or none")
    known = tx.spaces.find(ask.name)
    made = tx.spaces.create(ask.name, ask.parent, ask.metadata)
    if known is not None and known.deleted:
        with tx.inside(ask.name):
            tx.relations.bind()  # its parents may have got what its relations only name
    return made


@UpdateSpace.handler
def update_space(tx: Tx, ask: UpdateSpace) -> Space:
    """The space as it is then."""
    _check(tx, ask.metadata)
    return tx.spaces.annotate(ask.name, ask.metadata)


def _check(tx: Tx, metadata: dict[str, Any]) -> None:
    """Refuse what cannot be noted of a space: what is no plain data, and a limit that is none."""
    check_data(metadata, "The space's metadata", tx.settings.max_text_chars)
    for name in LIMITS:
        limit = metadata.get(name)
        if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
            raise Invalid(
                f"{name} is {str(limit)[:40]}, which is no limit.", "give a whole number from 1 on, or null for none"
            )


@ListSpaces.handler
def list_spaces(tx: Tx, ask: ListSpaces) -> SpaceList:
    """In the order of their making. A confined caller is shown its own, without what is noted about them: that names files."""
    spaces, confined = tx.spaces.all(ask.deleted), tx.call.peer.confined
    if confined:
        spaces = [replace(space, metadata={}) for space in spaces if space.name in confined]
    return SpaceList(spaces, tx.space_name)


@DeleteSpace.handler
def delete_space(tx: Tx, ask: DeleteSpace) -> Space:
    """Retired, not removed."""
    if ask.name == "default":
        raise Denied("The space 'default' cannot be deleted.", "delete its entities instead")
    if ask.name == tx.space_name:
        raise Denied(f"This connection works in {ask.name!r}.", "`switch` to another space first")
    return tx.spaces.retire(ask.name)


@Switch.handler
def switch(tx: Tx, ask: Switch) -> Space:
    """The space that this connection works in from now on."""
    space = tx.spaces.get(ask.space)
    peer = tx.call.peer
    peer.space, peer.parent = space.name, None
    peer.seen = tx.view.live
    return space
