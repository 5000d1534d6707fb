"""How many tokens a text has, roughly, where nobody counted them: cancelled streams, servers without usage.

Four characters are a token: the rule of thumb of OpenAI's page "What are tokens" (English text; read 2026-11). A
character of scripts that write words or syllables with one (Chinese, Japanese, Korean), and a pictograph, counts for
three: with o200k_base they have 1.4 to 1.6 characters a token, Russian 4.6, Arabic 3.3, Hindi 3.2 (measured on
2026-11-29 with bpe-openai 0.1.4; its tables would take 110 MB of each worker). What is estimated is marked so.
"""

from __future__ import annotations

import re

CHARACTERS_PER_TOKEN = 4
_DENSE_EXTRA = 2
# From the radicals of Chinese on, without the private and presentation forms of other scripts.
_DENSE = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef\U0001f000-\U0010ffff]+")


def size_of(text: str) -> int:
    """Return the length of a text in characters as `tokens_of` wants them; never more than its bytes in UTF-8."""
    if text.isascii():
        return len(text)
    return len(text) + _DENSE_EXTRA * sum(map(len, _DENSE.findall(text)))


def tokens_of(size: int) -> int:
    """Return the estimate for a text of a size, rounded up."""
    return -(-size // CHARACTERS_PER_TOKEN)
