"""How much of the memory that this process may have is used: by its control group, or by a limit of its own."""

import resource
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["Pressure", "pressure"]

GROUPS = Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")


class Pressure(NamedTuple):
    """Bytes used, bytes that may be, and what says so."""

    used: int
    limit: int
    by: str

    @property
    def share(self) -> float:
        """Of what may be used, how much is."""
        return self.used / self.limit


def pressure(groups: Path = GROUPS, own: Path = OWN_GROUP) -> Pressure | None:
    """The limit that is nearest; None where there is none. What the kernel could give back at once (files' pages) counts as free."""
    found = [one for one in (_group(groups, own), _address_space()) if one is not None]
    return max(found, key=lambda one: one.share, default=None)


def _group(groups: Path, own: Path) -> Pressure | None:
    """That of the nearest control group (version 2) above us that has one."""
    try:
        place = next(line[3:] for line in own.read_text().splitlines() if line.startswith("0::"))
    except (OSError, StopIteration):
        return None
    folder = groups / place.strip().lstrip("/")
    nearest: Pressure | None = None
    while True:
        try:
            most = (folder / "memory.max").read_text().strip()
            if most.isdigit() and int(most):
                used = int((folder / "memory.current").read_text())
                lines = (folder / "memory.stat").read_text().splitlines()
                used -= sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
                one = Pressure(used, int(most), "MemoryMax=")
                if nearest is None or one.share > nearest.share:
                    nearest = one
        except (OSError, ValueError, IndexError):
            pass  # a group without that controller, or out of sight
        if folder == groups or groups not in folder.parents:
            return nearest
        folder = folder.parent


def _address_space() -> Pressure | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or limit <= 0:
        return None
    return Pressure(psutil.Process().memory_info().vms, limit, "the address space (ulimit -v)")
