"""What scripts/real_parts.py promises: pinned, whole or not at all, and readable for a user that is not root."""

from __future__ import annotations

import hashlib
import os
import runpy
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tree import ROOT

SCRIPT = ROOT / "scripts" / "real_parts.py"
PROGRAM = "some_part/bin/program"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The script, with one part whose wheel lies in a folder beside the test."""
    wheel = tmp_path / "some_part-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        program = zipfile.ZipInfo(PROGRAM)
        program.external_attr = (stat.S_IFREG | 0o700) << 16
        archive.writestr(program, "#!/bin/sh\n")
        archive.writestr("some_part-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-part\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_17_x86_64\n"
        archive.writestr("some_part-1.0.dist-info/WHEEL", tag)
        archive.writestr("some_part-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    found = runpy.run_path(str(SCRIPT))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    found["PARTS"]["some"] = found["Part"]("some-part==1.0", digest, "some_part/bin")
    return found


def test_a_part_is_installed_once_and_everybody_can_run_it(script: dict[str, Any], tmp_path: Path) -> None:
    programs = script["ensure"]("some", tmp_path / "parts")
    assert stat.S_IMODE((programs / "program").stat().st_mode) & 0o755 == 0o755
    (programs / "here").touch()
    assert script["ensure"]("some", tmp_path / "parts") == programs
    assert (programs / "here").exists()


def test_a_wheel_of_another_hash_is_refused_and_leaves_no_part(script: dict[str, Any], tmp_path: Path) -> None:
    script["PARTS"]["some"] = script["Part"]("some-part==1.0", "0" * 64, "some_part/bin")
    with pytest.raises(script["StepError"], match="Hash mismatch"):
        script["ensure"]("some", tmp_path / "parts")
    assert list((tmp_path / "parts").glob("some*")) == []


def test_another_machine_is_told_to_install_it_by_hand(
    script: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(script["StepError"], match="x86-64 Linux"):
        script["ensure"]("some", tmp_path / "parts")


def test_the_script_is_a_program_and_every_part_is_pinned(script: dict[str, Any]) -> None:
    assert os.access(SCRIPT, os.X_OK)
    for part in script["PARTS"].values():
        assert "==" in part.requirement
        assert len(part.sha256) == 64
