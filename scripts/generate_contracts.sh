#!/bin/sh
# Generate packages/contracts/src from proto/. With --check: fail when what is checked in is not current.
set -eu
cd "$(dirname "$0")/.."
out=packages/contracts/src
if [ "${1:-}" = "--check" ]; then
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
fi
mkdir -p "$out/llm_manager/contracts"
find "$out/llm_manager/contracts" -name '*_pb2*.py*' -delete
# names come from this repository and hold no spaces
files=$(cd proto && find llm_manager -name '*.proto' | LC_ALL=C sort)
# shellcheck disable=SC2086 # one argument a file
said=$(PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m grpc_tools.protoc -Iproto \
  --python_out="$out" --mypy_out="$out" --grpc_python_out="$out" --mypy_grpc_out="$out" $files 2>&1) \
  || { echo "$said" >&2; exit 1; }
# messages only: files without a service get an empty gRPC stub, which nobody needs
find "$out/llm_manager/contracts" -name '*_pb2_grpc.py' | while IFS= read -r stub; do
  grep -q 'class .*Stub' "$stub" || rm -f "$stub" "${stub}i"
done
if [ "${1:-}" = "--check" ]; then
  diff -r --exclude=__pycache__ --exclude=py.typed --exclude=__init__.py \
    "$out/llm_manager/contracts" packages/contracts/src/llm_manager/contracts \
    || { echo "packages/contracts is not current: run 'make proto' and commit the result" >&2; exit 1; }
fi
