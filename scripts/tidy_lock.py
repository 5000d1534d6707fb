"""Remove the list of our own packages that `uv pip compile` writes at the end of requirements.lock."""

from __future__ import annotations

from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
_EXCLUDED = "# The following packages were excluded from the output:"


def main() -> None:
    """Rewrite the lock in place."""
    LOCK.write_text(LOCK.read_text().partition(_EXCLUDED)[0].rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
