"""What a configuration is called, and which parameters it may set; pure."""

from __future__ import annotations

import re
import unicodedata

_NOT_PLAIN = re.compile(r"[^a-z0-9.]+")
_LONGEST = 100


def slug(title: str) -> str:
    """Return the name that a title gives: small letters, digits and dots, everything else a dash.

    Empty where nothing of the title can be written so.
    """
    plain = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return _NOT_PLAIN.sub("-", plain).strip("-.")[:_LONGEST].rstrip("-.")
