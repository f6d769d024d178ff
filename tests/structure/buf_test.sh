#!/usr/bin/env bash
# buf lint, and buf breaking against the contract as it was last released (tests/structure/contract.binpb).
# buf is a development tool: taken from PATH, else from npm into the user's cache; skipped (exit 77) where neither can be had.
#
#   tests/structure/buf_test.sh            check
#   tests/structure/buf_test.sh --release  record the contract of today as the released one
set -euo pipefail
cd "$(dirname "$0")/../.."

version=1.75.0
cache="${XDG_CACHE_HOME:-$HOME/.cache}/induct/buf-$version"
buf=$(command -v buf || true)
if [ -z "$buf" ] && command -v npm >/dev/null; then
  [ -x "$cache/node_modules/.bin/buf" ] || npm install --silent --no-audit --no-fund --prefix "$cache" "@bufbuild/buf@$version" >/dev/null 2>&1 || true
  [ -x "$cache/node_modules/.bin/buf" ] && buf="$cache/node_modules/.bin/buf"
fi
if [ -z "$buf" ]; then echo "skipped: there is no buf (npm install -g @bufbuild/buf)"; exit 77; fi

cd proto
if [ "${1:-}" = --release ]; then
  "$buf" build -o ../tests/structure/contract.binpb
  echo "recorded"
  exit
fi
"$buf" lint
"$buf" breaking --against ../tests/structure/contract.binpb
echo "the contract lints and breaks nothing"
