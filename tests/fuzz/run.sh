#!/usr/bin/env bash
# Builds the fuzzers with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and runs each of them for SECONDS (600). Exit code 1 where one finds
# anything: its input then lies in build/fuzz/findings. What they learn is kept in build/fuzz/corpus, where the next run goes on; the input of a fault
# that is mended belongs into tests/fuzz/corpus/TARGET, which every test run replays.
#
#   tests/fuzz/run.sh [SECONDS] [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-600}
targets=("${@:2}")
[ "${#targets[@]}" -gt 0 ] || targets=(safetensors_header config tokenizer shard_index pickle torch_file)
build=build/fuzz

# A program with nothing in it needs all that the fuzzers need.
probe='extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
clang++ -x c++ - -fsanitize=fuzzer,address,undefined -o /dev/null <<<"$probe" 2>/dev/null || {
  version=$(clang++ -dumpversion 2>/dev/null | cut -d. -f1) || true
  echo "fuzzing needs clang++ with its sanitizers and libFuzzer: apt-get install clang libclang-rt-${version:-14}-dev" >&2
  exit 2
}

cmake -S . -B "$build" -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=RelWithDebInfo -DINDUCT_SANITIZE=address,undefined \
  -DINDUCT_FUZZ=ON -DINDUCT_BUILD_SERVICE=OFF >/dev/null
cmake --build "$build" --target fuzzers

mkdir -p "$build/findings"
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
failed=()
for target in "${targets[@]}"; do
  learned=$build/corpus/$target
  mkdir -p "$learned"
  echo "== $target, $seconds s"
  "$build/tests/fuzz_$target" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$build/findings/$target-" "$learned" "tests/fuzz/corpus/$target" >"$build/$target.log" 2>&1 || failed+=("$target")
  grep -E '^stat::number_of_executed_units|^stat::peak_rss_mb|ERROR|SUMMARY|broken:' "$build/$target.log" || true
done
[ "${#failed[@]}" -eq 0 ] || { echo "findings in: ${failed[*]} (see $build/findings and $build/<target>.log)"; exit 1; }
echo "no findings"
