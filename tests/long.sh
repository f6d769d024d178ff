#!/usr/bin/env bash
# What takes too long for every test run. All without arguments, else those named:
#
#   tests/long.sh sanitizers    every test, built with AddressSanitizer and UndefinedBehaviorSanitizer
#   tests/long.sh benchmarks    the benchmarks compile, which no test sees
#   tests/long.sh fuzz          each fuzzer for ten minutes (needs clang; tests/fuzz/run.sh takes other times and single fuzzers)
#   tests/long.sh operations    images and docker-compose.yml with a Docker engine, 20 minutes (needs root and debootstrap; tests/operations/run.sh)
#
# deploy/install.sh --tests must have run. Exit code 1 where one fails; the others still run.
set -euo pipefail
source "$(dirname "$0")/../deploy/steps.sh"
help_if_asked "$@"
cd "$(dirname "$0")/.."

sanitizers() {
  start_steps 3
  step "sanitizers: configure" "cmake --preset asan -DINDUCT_BUILD_TESTS=ON" configure asan -DINDUCT_BUILD_TESTS=ON
  step "sanitizers: compile" "cmake --build --preset asan --verbose" build asan
  step "sanitizers: the tests" "ctest --preset asan --rerun-failed --verbose" ctest --preset asan
}

benchmarks() {
  start_steps 2
  step "benchmarks: configure" "cmake --preset release -DINDUCT_BUILD_TESTS=ON" configure release -DINDUCT_BUILD_TESTS=ON
  step "benchmarks: compile" "cmake --build --preset release --target benchmarks --verbose" build release --target benchmarks
}

fuzz() {
  start_steps 1
  step "fuzzing" "tests/fuzz/run.sh" tests/fuzz/run.sh
}

operations() {
  start_steps 1
  step "operations" "tests/operations/run.sh" tests/operations/run.sh
}

names=("$@")
[ "${#names[@]}" -gt 0 ] || names=(sanitizers benchmarks fuzz operations)
for name in "${names[@]}"; do
  case "$name" in
    sanitizers | benchmarks | fuzz | operations) ;;
    *) echo "usage: tests/long.sh [sanitizers] [benchmarks] [fuzz] [operations]" >&2; exit 2 ;;
  esac
done
failed=()
for name in "${names[@]}"; do ("$name") || failed+=("$name"); done
[ "${#failed[@]}" -eq 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
