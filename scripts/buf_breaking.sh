#!/bin/sh
# Compare proto/ with the last commit of the main branch: wire and JSON names must stay compatible.
set -eu
cd "$(dirname "$0")/.."
for ref in origin/main main; do
  if git cat-file -e "$ref:proto/buf.yaml" 2>/dev/null; then
    against=$(mktemp -d)
    trap 'rm -rf "$against"' EXIT
    git archive "$ref" proto | tar -x -C "$against"
    exec_status=0
    .venv/bin/buf breaking proto --against "$against/proto" || exec_status=$?
    exit "$exec_status"
  fi
done
echo "no commit of the main branch has contracts yet; nothing to compare with"
