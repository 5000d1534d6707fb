"""Which passwords people may choose; pure."""

from __future__ import annotations

from pathlib import Path

from llm_manager.core.errors import InvalidRequest

# A password alone, without a second factor. NIST SP 800-63B-4 (August 2025) asks for 15 then; 12 is what the admin API
# promises, and whoever guesses is slowed down to what docs/security.md tells. No rules of composition, as there.
SHORTEST, LONGEST = 12, 128
_COMMON = frozenset(
    line
    for line in Path(__file__).with_name("common_passwords.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def check_password(password: str, *, name: str, param: str = "password") -> None:
    """Go on only if somebody of this name may have this password. Messages never repeat it.

    Args:
        param: what the request calls it.

    Raises:
        InvalidRequest: too short, too long, the name, or one of those that are guessed first.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"The password must have {SHORTEST} to {LONGEST} characters.", param=param)
    if password.casefold() == name.casefold():
        raise InvalidRequest("The password is the name of the user; choose another one.", param=param)
    if len(set(password)) == 1 or "".join(password.casefold().split()) in _COMMON:
        raise InvalidRequest(
            "The password is among those that are guessed first; take a sentence, or what a password manager makes.",
            param=param,
        )
