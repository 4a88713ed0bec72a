"""What the tests of encrypted files share."""

import apsw
import pytest

SECRET = "the keeper hides the lamp oil under the stairs"

ciphers = pytest.mark.skipif(
    not hasattr(apsw, "mc_version"), reason="this SQLite cannot encrypt: scripts/test --encrypted"
)
