#!/usr/bin/env bash
# GCC ignores the annotations on mutexes (ABSL_GUARDED_BY) silently; clang checks them. Skipped (exit 77) where there is no clang.
#
#   tests/structure/thread_safety_test.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
command -v clang++ >/dev/null || { echo "skipped: there is no clang++ (apt-get install clang)"; exit 77; }

mapfile -t files < <(grep -rlE 'ABSL_GUARDED_BY|synchronization/mutex.h|_impl.h|watch_list.h|active_job.h|device_activity.h|residency.h|event_stream.h|load_stream.h|load_threads.h|connection.h' \
  server/checkpoint server/jobs server/metrics server/models server/service client --include='*.cc')
[ "${#files[@]}" -gt 5 ] || { echo "found only ${#files[@]} files to check"; exit 1; }
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I{} clang++ -std=c++20 -fsyntax-only -Wno-everything -Wthread-safety -Werror=thread-safety \
  -I. -I"$build" -isystem "$build/proto" {}
echo "${#files[@]} files hold their locks as declared"
