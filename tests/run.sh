#!/usr/bin/env bash
# Installs, builds and runs every test, or those that arguments choose, which are ctest's:
#
#   tests/run.sh                    every test
#   tests/run.sh -R engine          only tests whose name matches a regular expression; -E leaves out those that match
#   tests/run.sh -L unit            only tests with a label: unit (the C++ of a room), integration (the programs as users run them), peer (compared with a
#                                   Python package), structure (rooms, includes, names, scripts, the contract,
#                                   boards, dashboards, Compose files)
#   tests/run.sh -N                 names them and runs none
#   tests/run.sh --rerun-failed     those that failed last time; --verbose shows all that they print
#
# Whatever runs, everything is built. What takes longer than a test should is in tests/long.sh.
set -euo pipefail
source "$(dirname "$0")/../deploy/steps.sh"
help_if_asked "$@"
cd "$(dirname "$0")/.."

# ctest leaves out an argument that it does not know, and runs everything.
arguments=("$@")
while [ $# -gt 0 ]; do
  case "$1" in
    -R | -E | -L | -LE | -j) [ $# -gt 1 ] || { echo "tests/run.sh: $1 takes a value; see tests/run.sh --help" >&2; exit 2; }; shift ;;
    -N | --rerun-failed | --verbose) ;;
    *) echo "usage: tests/run.sh [-R NAMES] [-E NAMES] [-L LABELS] [-LE LABELS] [-j N] [-N] [--rerun-failed] [--verbose]" >&2; exit 2 ;;
  esac
  shift
done

start_steps 4
step "install what build and tests need" "deploy/install.sh --tests --verbose" deploy/install.sh --tests
step "configure the build" "cmake --preset release -DINDUCT_BUILD_TESTS=ON" configure release -DINDUCT_BUILD_TESTS=ON
step "compile (many minutes the first time)" "cmake --build --preset release --verbose" build release
begin_step "the tests" "ctest --preset release --rerun-failed --verbose"
ctest --preset release --no-tests=error "${arguments[@]}" || fail_step  # its own last lines say how many passed and how long it took
