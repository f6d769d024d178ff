#!/usr/bin/env bash
# Checks the GPU path where there is a GPU: builds engine, checkpoint and analysis, without gRPC, against the LibTorch of this machine's
# Python; runs the engine's tests, the golden models in float32, float16 and bfloat16 among them, on the GPU; then the benchmark against its
# targets. Without a GPU the same is built and tested on the CPU, and it says what stays unchecked. Exit code 1 where the build or a test fails; a
# missed target is only told, for the machine may be busy.
#
#   deploy/gpu_check.sh [tests | benchmark]     one of the two alone
#
# Environment:
#   TORCH_DIR          a folder that holds LibTorch's include/ and lib/ (default: that of python3's torch)
#   CMAKE_PREFIX_PATH  where else CMake looks for Abseil, GoogleTest and the others that deploy/install.sh installs
#   INDUCT_GPU_BUILD   the build folder (default: build/gpu)
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
case "$what" in all | tests | benchmark) ;; *) echo "usage: deploy/gpu_check.sh [tests | benchmark]" >&2; exit 2 ;; esac
build=${INDUCT_GPU_BUILD:-build/gpu}
torch=${TORCH_DIR:-$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))')}
say() { echo "gpu_check: $*"; }

device=cpu
if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then device=cuda; fi
say "LibTorch in $torch, device: $device"
generator=()
if command -v ninja >/dev/null; then generator=(-G Ninja); fi
cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DTORCH_DIR="$torch" -DINDUCT_BUILD_SERVICE=OFF >/dev/null
cmake --build "$build" --parallel --target engine_test analysis_test checkpoint_test profile_benchmark

if [ "$device" = cuda ] && [ ! -e "$torch/lib/libtorch_cuda.so" ]; then
  say "there is a GPU, but this LibTorch is built without CUDA: nothing of the GPU path can be checked"
  device=cpu
fi

run_tests() {
  "$build/tests/analysis_test" --gtest_brief=1
  "$build/tests/checkpoint_test" --gtest_brief=1
  INDUCT_TEST_DEVICE=$device "$build/tests/engine_test" --gtest_brief=1
}

# benchmark NAME TARGET ARGUMENTS...: TARGET is the least share of the device's matrix rate.
benchmark() {
  local name=$1 target=$2 share; shift 2
  say "benchmark: $name"
  "$build/bin/profile_benchmark" --device "$device" "$@" | tee "$build/benchmark.txt"
  share=$(awk '/^square/ { print $8 }' "$build/benchmark.txt")
  if awk -v share="$share" -v target="$target" 'BEGIN { exit !(share >= target) }'; then
    say "$name: at $share of the matrix rate, the target is $target: reached"
  else
    say "$name: at $share of the matrix rate, the target is $target: MISSED"
  fi
}

if [ "$what" != benchmark ]; then run_tests; fi
if [ "$what" != tests ] && [ "$device" = cuda ]; then
  benchmark "pythia-410m, bfloat16" 0.5 --model pythia-410m --prompts 400 --dtype bfloat16
  benchmark "pythia-6.9b, bfloat16" 0.625 --model pythia-6.9b --prompts 400 --dtype bfloat16 --repeats 2
  say "pythia-6.9b with memory_saver: should take the longer of the pass above and of what the layers take from the host's memory, which is the pass of one prompt"
  for prompts in 400 1; do
    "$build/bin/profile_benchmark" --device "$device" --model pythia-6.9b --prompts "$prompts" --dtype bfloat16 --repeats 1 --memory_saver
  done
fi
if [ "$device" = cpu ]; then
  say "no usable GPU here, so these were not checked: CUDA's attention kernels, golden models on CUDA, the benchmark's targets, memory_saver's transfers"
fi
