#include "server/engine/errors.h"

#include <c10/util/Exception.h>
#include <dnnl.hpp>

#include <exception>
#include <new>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/logging.h"
#include "common/status.h"

namespace induct::engine {
namespace {

absl::Status OutOfMemory(absl::string_view message) {
  return WithReason(absl::ResourceExhaustedError(absl::StrCat("out of memory: ", message)),
                    reason::kOutOfMemory);
}

// What fails on a CPU, or on a GPU outside its allocator, throws a plain c10::Error; only its text tells it
// from others.
bool SaysOutOfMemory(const c10::Error& error) {
  const absl::string_view text = error.what_without_backtrace();
  return absl::StrContains(text, "DefaultCPUAllocator") ||
         absl::StrContains(text, "CUDA error: out of memory") ||
         absl::StrContains(text, "CUBLAS_STATUS_ALLOC_FAILED");
}

}  // namespace

absl::Status CatchErrors(absl::FunctionRef<absl::Status()> work) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError& error) {
    return OutOfMemory(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    if (SaysOutOfMemory(error)) return OutOfMemory(error.what_without_backtrace());
    Log(LogLevel::kError, "engine", error.what());
    return absl::InternalError(absl::StrCat("LibTorch: ", error.what_without_backtrace()));
  } catch (const std::bad_alloc& error) {
    return OutOfMemory(error.what());
  } catch (const dnnl::error& error) {  // oneDNN, which LibTorch lets through as it is
    if (error.status == dnnl_out_of_memory) return OutOfMemory(absl::StrCat("oneDNN: ", error.what()));
    Log(LogLevel::kError, "engine", absl::StrCat("oneDNN: ", error.what(), ", status ", error.status));
    return absl::InternalError(absl::StrCat("oneDNN: ", error.what()));
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "engine", error.what());
    return absl::InternalError(absl::StrCat("unexpected error: ", error.what()));
  }
}

bool IsOutOfMemory(const absl::Status& status) { return ReasonOf(status) == reason::kOutOfMemory; }

}  // namespace induct::engine
