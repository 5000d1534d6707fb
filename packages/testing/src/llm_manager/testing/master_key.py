"""The master key of platforms under test: as random as a real one, because a pattern would be refused."""

from __future__ import annotations

import base64
import hashlib

MASTER_KEY = hashlib.sha256(b"master key of tests").digest()
MASTER_KEY_TEXT = base64.urlsafe_b64encode(MASTER_KEY).decode()
OTHER_MASTER_KEY = hashlib.sha256(b"another master key of tests").digest()
OTHER_MASTER_KEY_TEXT = base64.urlsafe_b64encode(OTHER_MASTER_KEY).decode()
