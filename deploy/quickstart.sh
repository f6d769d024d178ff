#!/usr/bin/env bash
# From nothing to a picture: installs, builds, profiles the bundled demo model on a server of its own, says where the figures are.
# Arguments go to the client's profile command (see build/release/bin/induct-client profile --help).
set -euo pipefail
source "$(dirname "$0")/../deploy/steps.sh"
help_if_asked "$@"
cd "$(dirname "$0")/.."

targets=(--target induct-server induct-client)
profile=(build/release/bin/induct-client profile --model demo-small "$@")
start_steps 4
step "install what the build needs" "deploy/install.sh --verbose" deploy/install.sh
step "configure the build" "cmake --preset release -DINDUCT_BUILD_TESTS=OFF" configure release -DINDUCT_BUILD_TESTS=OFF
step "compile server and client (minutes the first time)" "cmake --build --preset release ${targets[*]} --verbose" build release "${targets[@]}"
step "profile the demo model" "$(printf '%q ' "${profile[@]}")" "${profile[@]}"
