#!/usr/bin/env bash
# docs/figures/draw.sh draws what docs/figures holds: the same names, each a whole PNG and small enough for a README.
# Usage: docs_figures.sh BIN_FOLDER
set -euo pipefail

command -v gnuplot >/dev/null || { echo "gnuplot is not installed"; exit 77; }
figures=$(cd "$(dirname "$0")/../../docs/figures" && pwd)
drawn=$(mktemp -d)
trap 'rm -rf "$drawn"' EXIT
"$figures/draw.sh" "$1" "$drawn"

names() { find "$1" -maxdepth 1 -name '*.png' -printf '%f\n' | sort; }
diff <(names "$figures") <(names "$drawn") || { echo "docs/figures holds other pictures than draw.sh draws" >&2; exit 1; }
# Every picture of docs/ and the README is one of them.
grep -oh 'figures/[^)" ]*\.png' "$figures"/../*.md "$figures/../../README.md" | sort -u | while read -r picture; do
  [ -f "$figures/../$picture" ] || { echo "$picture is shown and not drawn" >&2; exit 1; }
done
for picture in "$drawn"/*.png "$figures"/*.png; do
  [ "$(head -c 4 "$picture" | tail -c 3)" = PNG ] || { echo "$picture is no PNG" >&2; exit 1; }
  [ "$(stat -c %s "$picture")" -lt 200000 ] || { echo "$picture has 200 KB or more" >&2; exit 1; }
done
