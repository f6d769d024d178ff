#!/usr/bin/env bash
# Installs, builds and runs every test. Arguments go to ctest, for example: tests/run.sh -R engine
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/install.sh --tests
cmake --preset release -DINDUCT_BUILD_TESTS=ON >/dev/null
cmake --build --preset release
ctest --preset release "$@"
