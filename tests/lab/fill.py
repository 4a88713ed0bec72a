"""Fill the store with so many megabytes that do not pack: python fill.py 40."""

import base64
import os
import sys

from enhanced_memory.client import Memory
from enhanced_memory.client.values import EntityInput

with Memory() as memory:
    for number in range(int(sys.argv[1]) * 10):
        # Each its own: what is alike would shrink to nothing as the backup is packed.
        text = base64.b64encode(os.urandom(96_000)).decode()
        memory.create_entities([EntityInput(f"filling {number}", "filling", [], {"held": text})])
