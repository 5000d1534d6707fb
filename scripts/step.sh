#!/bin/sh
# step.sh NAME REMEDY COMMAND…: run one step with a progress line, quiet unless it fails; then show all and the remedy.
name=$1 remedy=$2
shift 2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
printf '  %-36s' "$name"
begun=$(date +%s)
if "$@" >"$log" 2>&1; then
  printf 'ok  %3s s\n' $(($(date +%s) - begun))
else
  printf 'FAILED\n'
  sed 's/^/    /' "$log"
  printf '  %s failed. What to do: %s\n' "$name" "$remedy"
  exit 1
fi
