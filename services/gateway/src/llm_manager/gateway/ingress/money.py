"""Money as text."""

from __future__ import annotations

from decimal import Decimal


def usd(amount: Decimal) -> str:
    """Spell an amount as plain decimal text without trailing zeros; never with an exponent."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text
