"""`python -m bench.gate`: fails when this checkout costs more CPU than the one it is to land on.

Both products run at once before the same upstream, and their windows alternate: what is compared is a ratio, which
holds on a machine that is busy with other things. bench/allowed.json holds the losses that issues allow, as
`[{"base": "<commit>", "case": "plain_c64", "ratio": 1.2, "issue": 17}]`. An entry counts as long as its base is the
one that is compared with, so that the next landing makes it the new figure by itself.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from bench import subjects
from bench.cases import CASES, SHORT, WARM_SECONDS, Case, Window, cpu_micros, window
from bench.subjects import ROOT, Subject

MOST = 1.10
_ROUNDS, _SECONDS = 4, 3.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A ratio that an issue allows for one case, against one commit."""

    base: str
    case: str
    ratio: float
    issue: int


def limit_of(case: str, base: str, allowed: list[Loss]) -> float:
    """Return the ratio up to which a case passes against a base (a full commit id)."""
    return max([MOST, *(loss.ratio for loss in allowed if loss.case == case and base.startswith(loss.base))])


def allowed_losses(path: Path) -> list[Loss]:
    """Read the losses that issues allow.

    Raises:
        ValueError: an entry is not complete; the message names it.
    """
    entries: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    try:
        return [Loss(**entry) for entry in entries]
    except TypeError as error:
        raise ValueError(f"{path.name}: each entry needs base, case, ratio and issue ({error})") from error


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}; name a commit with --base")
    return done.stdout.strip()


def checkout(commit: str) -> Path:
    """Return a checkout of a commit with its own environment, made once below build/bench."""
    folder = ROOT / "build" / "bench" / f"base-{commit[:12]}"
    if not (folder / ".git").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _git("clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
        _git("-C", str(folder), "checkout", "--quiet", "--detach", commit)
    subprocess.run([sys.executable, "-I", str(folder / "scripts" / "install.py")], cwd=folder, check=True)
    return folder


async def _alternating(case: Case, base: Subject, ours: Subject) -> tuple[float, float]:
    """Return microseconds of CPU of both, from windows that take turns."""
    done: dict[str, list[Window]] = {base.name: [], ours.name: []}
    for subject in (base, ours):
        await case.run(subject.target, WARM_SECONDS)
    for number in range(_ROUNDS):
        for subject in (base, ours) if number % 2 else (ours, base):
            done[subject.name].append(await window(subject, case, _SECONDS))
    for name, windows in done.items():
        failure = next((w.load.failure for w in windows if w.load.failed), "")
        if failure:
            raise SystemExit(f"{case.name}: a request of {name} failed: {failure}")
    return cpu_micros(done[base.name], case.per)["total"], cpu_micros(done[ours.name], case.per)["total"]


def main(arguments: list[str]) -> int:
    """Compare; returns 1 when a case costs more than it may."""
    parser = argparse.ArgumentParser(prog="bench.gate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base", default="origin/main", help="commit to compare with (origin/main)")
    parser.add_argument("--cases", default="", help="names, separated by commas; those of the short form when empty")
    given = parser.parse_args(arguments)
    base_commit = _git("rev-parse", "--verify", f"{given.base}^{{commit}}")
    names = tuple(str(given.cases).split(",")) if given.cases else SHORT
    allowed, has_failed = allowed_losses(ROOT / "bench" / "allowed.json"), False
    subjects.stop_on_sigterm()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llm-manager-gate-")))
        origin = stack.enter_context(subjects.upstream())
        base_checkout = checkout(base_commit)
        base = stack.enter_context(subjects.product(origin, folder / "base", checkout=base_checkout, name="base"))
        ours = stack.enter_context(subjects.product(origin, folder / "ours"))
        for case in (case for case in CASES if case.name in names):
            before, after = uvloop.run(_alternating(case, base, ours))
            limit = limit_of(case.name, base_commit, allowed)
            has_failed |= after > before * limit
            verdict = "FAILED" if after > before * limit else "ok"
            line = f"{before:8.1f} -> {after:8.1f} us CPU, ratio {after / before:.2f} of at most {limit:.2f}: {verdict}"
            sys.stdout.write(f"{case.name:18} {line}\n")
            sys.stdout.flush()
    if has_failed:
        sys.stdout.write("Make it cheaper, or write the loss that an issue allows into bench/allowed.json.\n")
    return int(has_failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
