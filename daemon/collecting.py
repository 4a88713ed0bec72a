"""How the garbage collector works in a process that answers."""

import gc

__all__ = ["COLLECTED_AFTER", "settle"]

COLLECTED_AFTER = (4_000, 20, 50)
"""The collector's thresholds: young objects by the thousand take it 3 ms at the most; 20,000 took up to 30, in the midst of anything."""


def settle() -> None:
    """What stands now stays: the collector need not look at it again, and looks less often at what answers come and go with."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)
