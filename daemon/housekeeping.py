"""What is done now and then: answers and access rows that have been kept long enough are let go."""

from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon.store import HOUSE, Engine

__all__ = ["AFTER_START_S", "EVERY_S", "keep_house"]

AFTER_START_S = 5.0
EVERY_S = 6 * 3600.0

_DAY_MS = 86_400_000
_STEPS = 20
"""Each step lets go of a few thousand rows at the most, between other work; what is left waits for the next time."""


def keep_house(engine: Engine, settings: Settings) -> None:
    """Hand the writer what has to be let go, unless another daemon does it."""
    if not engine.leads(HOUSE):
        return
    now = engine.clock()
    engine.tend(now, now - int(settings.access_keep_days * _DAY_MS))
    for name, days in (("expire_access", settings.access_keep_days), ("expire_answers", settings.answers_keep_days)):
        for _ in range(_STEPS):
            engine.note(name, [{"before": now - int(days * _DAY_MS)}])
