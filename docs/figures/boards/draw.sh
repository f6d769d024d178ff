#!/usr/bin/env bash
# Draws the pictures of the boards, of four servers that tests/boards/stage.py has in four situations. Usage:
#   tests/boards/stage.py BIN_FOLDER 40         in another terminal; after 25 minutes all three alerts are firing
#   docs/figures/boards/draw.sh [MINUTES]       how far back the pictures go, 20 without it
set -euo pipefail
cd "$(dirname "$0")/../../.."

draw() {
  local picture=$1
  shift
  tests/boards/draw_boards.py --minutes "$minutes" --to "docs/figures/boards/$picture.png" "$@"
}

minutes=${1:-20}
draw overview --board overview --server gpu01 --at_work
draw overview_of_all --board overview --at_work --theme dark
draw models --board models --at_work
draw queue_stuck --board overview --server gpu02 --theme dark
draw models_thrash --board overview --server gpu03
draw out_of_memory --board overview --server gpu04 --theme dark
# Of no server, and so it can be called alone.
tests/boards/draw_invented_gpus.py docs/figures/boards/gpu.png
