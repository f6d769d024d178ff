#!/usr/bin/env bash
# buf lint, and buf breaking against the contract as it was last released (tests/structure/contract.binpb).
# buf is a development tool: taken from PATH, else where deploy/install.sh --tests puts it; skipped (exit 77) where it is in neither.
#
#   tests/structure/buf_test.sh            check
#   tests/structure/buf_test.sh --release  record the contract of today as the released one
set -euo pipefail
cd "$(dirname "$0")/../.."

buf=$(command -v buf || ls -d "${XDG_CACHE_HOME:-$HOME/.cache}"/induct/buf-*/node_modules/@bufbuild/buf-*/bin/buf 2>/dev/null | tail -1) || true
if [ -z "$buf" ]; then echo "skipped: there is no buf; deploy/install.sh --tests installs it"; exit 77; fi

cd proto
if [ "${1:-}" = --release ]; then
  "$buf" build -o ../tests/structure/contract.binpb
  echo "recorded"
  exit
fi
"$buf" lint
"$buf" breaking --against ../tests/structure/contract.binpb
echo "the contract lints and breaks nothing"
