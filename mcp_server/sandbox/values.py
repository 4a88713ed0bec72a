"""What a run is given and what it answers."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.settings import Settings

__all__ = ["Bounds", "Fault", "Isolation", "Limits", "Ran"]

Level = Literal["A", "B", "C"]


class Limits(msgspec.Struct, omit_defaults=True):
    """What a run may use. What is not given is what the settings allow; more than that is refused."""

    seconds: Annotated[float, Meta(gt=0)] | None = None
    memory_mb: Annotated[int, Meta(ge=8)] | None = None
    result_bytes: Annotated[int, Meta(ge=1)] | None = None
    output_bytes: Annotated[int, Meta(ge=0)] | None = None
    calls: Annotated[int, Meta(ge=0)] | None = None


class Bounds(msgspec.Struct, frozen=True):
    """The limits of one run, settled."""

    seconds: float
    memory_mb: int
    result_bytes: int
    output_bytes: int
    calls: int

    @classmethod
    def settled(cls, limits: Limits | None, settings: Settings) -> "Bounds":
        """The limits as given, else as the settings say. `Invalid` for one above its setting."""
        values: dict[str, Any] = {}
        for name in cls.__struct_fields__:
            cap = getattr(settings, f"sandbox_{name}")
            given = None if limits is None else getattr(limits, name)
            if given is not None and given > cap:
                raise Invalid(
                    f"limits.{name} may be {cap} at the most, not {given}.", f"the setting sandbox_{name} decides"
                )
            values[name] = cap if given is None else given
        return cls(**values)


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a run did not come to its end."""

    type: str
    message: str
    line: int | None = None
    """The line of the code."""
    hint: str = ""


class Isolation(msgspec.Struct, frozen=True, omit_defaults=True):
    """What holds the code: A all layers; B seccomp and limits, but not all; C no seccomp."""

    level: Level
    layers: list[str]
    missing: dict[str, str] = {}
    """Layers that this machine does not have, and why."""


class Ran(msgspec.Struct, frozen=True):
    """What came of a run."""

    ok: bool
    result: Any
    stdout: str
    truncated: bool
    """Whether some of the output was left out."""
    error: Fault | None
    isolation: Isolation
    ms: float
    calls: int
    run: str
    """The run's id, which changes that it made carry as their provenance."""
