#!/usr/bin/env bash
# From nothing to a picture: installs, builds, profiles the bundled demo model on a server of its own, says where the figures are.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/install.sh
cmake --preset release -DINDUCT_BUILD_TESTS=OFF >/dev/null
cmake --build --preset release --target induct-server induct-client
build/release/bin/induct-client profile --model demo-small "$@"
