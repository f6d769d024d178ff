#!/usr/bin/env bash
# Draws the pictures of the boards, of four servers that tests/boards/stage.py has in four situations. Usage:
#   tests/boards/stage.py BIN_FOLDER 40 &       in another terminal; after 30 minutes all alerts of the situations are firing
#   docs/figures/boards/draw.sh [MINUTES]       how far back the pictures go, 25 without it
set -euo pipefail
cd "$(dirname "$0")/../../.."

draw() {
  local picture=$1
  shift
  tests/boards/draw_boards.py --minutes "$minutes" --to "docs/figures/boards/$picture.png" "$@"
}

minutes=${1:-25}
for theme in light dark; do
  draw "overview_$theme" --board overview --server gpu01 --at_work --theme "$theme"
  draw "models_$theme" --board models --at_work --theme "$theme"
done
draw queue_stuck --board overview --server gpu02
draw models_thrash --board overview --server gpu03 --at_work
draw out_of_memory --board overview --server gpu04
