#!/bin/sh
# Print the first Python on the PATH that can set this project up: CPython 3.11 or newer with ensurepip or pip.
# Each candidate is run, not believed: a pyenv shim of a version that is not chosen exists and fails.
works() { "$1" -I -c "$2" >/dev/null 2>&1; }
new_enough='import sys; sys.exit(not (sys.version_info >= (3, 11) and sys.implementation.name == "cpython"))'
found=
for module in ensurepip pip; do
  for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
    works "$candidate" "$new_enough" || continue
    found=$candidate
    works "$candidate" "import venv, $module" && { command -v "$candidate"; exit 0; }
  done
done
if [ -n "$found" ]; then
  echo "$found ($("$found" -V 2>&1)) comes without ensurepip and without pip, so no virtual environment can be made." >&2
  echo "What to do: install them (Debian, Ubuntu: apt install python3-venv; Fedora: dnf install python3-pip)," >&2
else
  echo "No Python 3.11 or newer was found on the PATH." >&2
  echo "What to do: install one (Debian, Ubuntu: apt install python3 python3-venv; macOS: python.org or brew)," >&2
fi
echo "or name another with 'make PYTHON=/path/to/python3 …'." >&2
exit 1
