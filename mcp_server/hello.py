"""What relay and host say beside JSON. The relay says hello first: 4 bytes of length, then `key=value` pairs with NUL between.

As in `/proc/PID/environ` a value may be anything but hold a NUL: a folder's name may have a newline, and need not be
text. Keys in capitals are the client's environment variables. No import: the relay starts with this.
"""

__all__ = ["BYE", "LENGTH", "LIMIT", "MOVE", "SPACE", "VERSION", "decoded", "encoded", "ordered"]

VERSION = "0.1.0"
"""The package's version, which a relay has no time to look up."""

LENGTH = 4
LIMIT = 4 * 1024 * 1024

BYE = b"bye"
"""The host's last line where all that it was asked is answered."""
MOVE = b"move"
"""The host's last line where it leaves in order and another should go on."""

SPACE = b"space "
"""What a line of the host begins with that says in which space the session works from now on, in hexadecimal. The relay
says it to the next host, under the key `space`."""


def encoded(pairs: dict[bytes, bytes]) -> bytes:
    """The hello as it is sent."""
    body = b"\0".join(key + b"=" + value for key, value in pairs.items())
    return len(body).to_bytes(LENGTH, "big") + body


def decoded(body: bytes) -> dict[bytes, bytes]:
    """What was said, without the length. A pair without `=` is passed over."""
    return {key: value for key, mark, value in (pair.partition(b"=") for pair in body.split(b"\0")) if mark}


def ordered(version: str) -> tuple[int, ...]:
    """A version's numbers, for telling which of two is newer."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
