#!/usr/bin/env python3
"""TinyWorld's script: make the tables, drop them, show a character's messages.

`scripts/db_management.py {create|drop|show-messages} [--character-id socrates_001] [--limit 10]`

`create` makes sure that the store is there. `drop` asks, and deletes every character and its messages, softly, only if the answer
is "yes"; `show-messages` prints `[timestamp] character_name: content`, oldest first.
"""

import argparse
import sys

from enhanced_memory.client.adapters.tinyworld import MemoryRepository
from enhanced_memory.client.adapters.tinyworld_models import Base, Engine, engine
from enhanced_memory.client.errors import Error


def main(argv: list[str] | None = None, engine: Engine = engine) -> int:
    """Do as asked; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=("create", "drop", "show-messages"))
    parser.add_argument("--character-id", default="socrates_001")
    parser.add_argument("--limit", type=int, default=10)
    given = parser.parse_args(argv)
    try:
        if given.command == "create":
            Base.metadata.create_all(bind=engine)
            print(f"The store is there: {engine.url}")
        elif given.command == "drop":
            if input("Delete every character and its messages? (yes/no): ").strip().lower() != "yes":
                print("Cancelled.")
                return 0
            print(f"Deleted {Base.metadata.drop_all(bind=engine)} characters; `memoryctl restore` brings them back.")
        else:
            for one in MemoryRepository(engine.memory).get_recent_messages(given.character_id, given.limit):
                print(f"[{one['timestamp']}] {one['character_name']}: {one['content']}")
    except Error as problem:
        print(f"db_management: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
