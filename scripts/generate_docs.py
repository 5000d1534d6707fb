"""Write the pages of docs/reference that come from the code. With --check: fail when one is not current."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference_pages import cli_page, configuration_page, errors_page, nats_page, openapi_document, proto_page

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "configuration.md": configuration_page,
    "errors.md": errors_page,
    "contracts.md": lambda: proto_page(ROOT / "proto"),
    "nats.md": nats_page,
    "openapi.json": openapi_document,
}


def stale(folder: Path) -> list[str]:
    """Return the names of the pages that are not what the code says."""
    return [name for name, page in PAGES.items() if not _is_current(folder / name, page())]


def write() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page())


def _is_current(file: Path, text: str) -> bool:
    return file.exists() and file.read_text() == text


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="look at these pages instead")
    options = parser.parse_args()
    if not options.check:
        write()
        return 0
    old = stale(options.folder)
    if old:
        print(f"Not what the code says: {', '.join(f'docs/reference/{name}' for name in old)}. Run 'make docs'.")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
