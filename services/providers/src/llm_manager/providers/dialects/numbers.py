"""Numbers that somebody else wrote, bounded before they are converted: `1e3000000` as an int is minutes of work."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation

# A thousand times the longest prompt there is (ten million tokens, 2026-11) for each of a hundred choices, and small
# enough for sums of counts to fit into 64 bits everywhere.
MOST_COUNTED = 10**12
# The place of a choice or of a document among others; what is larger has no room in our messages.
MOST_INDEX = 2**31 - 1
_MOST_USD = 10**6
# A double written in decimals has at most 17 digits behind its leading zeros.
_MOST_DECIMALS = 60
_MOST_DIGITS_OF_TEXT = 15
# More digits than any amount has that is taken: nothing is rounded.
_EXACT = Context(prec=2 * _MOST_DECIMALS)


def exact_number(text: str) -> object:
    """Return a JSON number with a point or an exponent as it was written, None for one that no Decimal holds."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def whole_number(value: object, *, most: int = MOST_COUNTED) -> int | None:
    """Return a whole number from zero to `most`, also from its text (vLLM forks write "12"); None for all else."""
    if type(value) is int:  # nearly always, and many times in each answer
        return value if 0 <= value <= most else None
    if isinstance(value, str):
        is_number = len(value) <= _MOST_DIGITS_OF_TEXT and value.isascii() and value.isdigit()
        value = int(value) if is_number else None
    bounded = _bounded(value, most)
    if bounded is None:
        return None
    number = int(bounded)
    return number if number == bounded else None


def unix_seconds(value: object) -> int:
    """Return a time in whole seconds, zero for what is no time."""
    return int(_bounded(value, MOST_COUNTED) or 0)


def usd_text(value: object, *, unit: str = "1") -> str | None:
    """Return an amount in dollars as decimal text with every digit.

    Args:
        unit: dollars that the value counts.

    Returns:
        None for what is no amount of at most a million dollars.
    """
    dollars = Decimal(unit)
    bounded = _bounded(value, int(_MOST_USD / dollars))
    if bounded is None or isinstance(bounded, float):
        return None
    amount = _EXACT.multiply(Decimal(bounded), dollars)
    exponent = amount.as_tuple().exponent
    return format(amount, "f") if isinstance(exponent, int) and exponent >= -_MOST_DECIMALS else None


def _bounded(value: object, most: int) -> int | float | Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= most:
        return None
    # a zero may have an exponent of millions as well
    return value or 0
