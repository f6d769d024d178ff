#!/usr/bin/env bash
# Installs, builds and runs every test. Arguments go to ctest:
#
#   tests/run.sh                    every test
#   tests/run.sh -R engine          only tests whose name matches a regular expression; -E leaves out those that match
#   tests/run.sh -L unit            only tests with a label: unit (the C++ of a room), integration (the programs as users run them), peer (compared with a
#                                   Python package), structure (rooms, includes, names, scripts, the contract)
#   tests/run.sh -N                 names them and runs none
#
# Whatever runs, everything is built. What takes longer than a test should is in tests/long.sh.
set -euo pipefail
source "$(dirname "$0")/../deploy/steps.sh"
help_if_asked "$@"
cd "$(dirname "$0")/.."

start_steps 4
step "install what build and tests need" "deploy/install.sh --tests --verbose" deploy/install.sh --tests
step "configure the build" "cmake --preset release -DINDUCT_BUILD_TESTS=ON" configure release -DINDUCT_BUILD_TESTS=ON
step "compile (many minutes the first time)" "cmake --build --preset release --verbose" build release
begin_step "the tests" "ctest --preset release --rerun-failed --verbose"
ctest --preset release "$@" || fail_step  # its own last lines say how many passed and how long it took
