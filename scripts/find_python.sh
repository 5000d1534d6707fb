#!/bin/sh
# Print the Python on the PATH that sets this project up: CPython 3.11 or newer with ensurepip or pip.
# Each candidate is run, not believed: a pyenv shim of a version that is not chosen exists and fails.
# Of those that work the first one without a shared libpython is taken: pyenv's with --enable-shared spends a fifth more
# CPU on a request than Debian's own (1,821 and 1,496 us, 3.11, 2026-11-29). PYTHON=… is taken as it is.
names='python3 python3.14 python3.13 python3.12 python3.11 python'
# Exits with 0, 10 (works, with a shared libpython), 11 (no pip to be had), or else.
look='
import importlib.util, os, sys
if sys.version_info < (3, 11) or sys.implementation.name != "cpython":
    sys.exit(12)
if not (importlib.util.find_spec("venv") and any(map(importlib.util.find_spec, ("ensurepip", "pip")))):
    sys.exit(11)
maps = "/proc/self/maps"
sys.exit(10 if os.path.exists(maps) and "libpython" in open(maps).read() else 0)
'
candidates() {
  [ -z "${PYTHON:-}" ] || command -v "$PYTHON"
  for name in $names; do
    (IFS=:; for folder in $PATH; do [ ! -x "$folder/$name" ] || echo "$folder/$name"; done)
  done
}
chosen=
without_pip=
while IFS= read -r candidate; do
  "$candidate" -I -c "$look" >/dev/null 2>&1
  case $? in
    0) chosen=$candidate; break ;;
    10) chosen=${chosen:-$candidate} ;;
    11) without_pip=${without_pip:-$candidate} ;;
  esac
  [ -z "$chosen" ] || [ -z "${PYTHON:-}" ] || break
done <<LIST
$(candidates)
LIST
[ -z "$chosen" ] || { echo "$chosen"; exit 0; }
if [ -n "$without_pip" ]; then
  echo "$without_pip ($("$without_pip" -V 2>&1)) comes without ensurepip and without pip, so no virtual environment can be made." >&2
  echo "What to do: install them (Debian, Ubuntu: apt install python3-venv; Fedora: dnf install python3-pip)," >&2
else
  echo "No Python 3.11 or newer was found on the PATH." >&2
  echo "What to do: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: python.org or brew)," >&2
fi
echo "or name another with 'make PYTHON=/path/to/python3 …'." >&2
exit 1
