#include "server/checkpoint/word_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <new>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/errors.h"

namespace induct::checkpoint {
namespace {

using std::chrono::steady_clock;

// Steps from one start. Going back over a run of white space takes one for each byte.
constexpr size_t kStepsForAnyText = 100'000;
constexpr size_t kStepsPerByte = 4;
constexpr uint32_t kHeapLimitKib = 16 << 10;  // where there is no JIT
constexpr size_t kJitStackStart = size_t{32} << 10;
constexpr size_t kJitStackMax = size_t{8} << 20;

// That limit holds for each start in the text anew, so a clock bounds the whole. It is read after this many
// starts without a match, and after this many matches.
constexpr size_t kStartsPerCall = 16;
constexpr unsigned kCallsPerLook = 16;
constexpr std::chrono::seconds kTimeForAnyText{5};
constexpr size_t kSlowestBytesPerMillisecond = 1000;

// Without what finds the first start: the JIT of 10.42 misses matches with it in patterns such as
// (?>[^x]*+|a)(?:-{0,2}[^x]{2}|y)|-.
constexpr uint32_t kCompileOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_USE_OFFSET_LIMIT | PCRE2_NO_START_OPTIMIZE;

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

std::string ErrorText(int code) {
  char buffer[256] = "";
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(buffer), sizeof(buffer));
  return buffer;
}

absl::Status CannotUse(std::string_view source, const std::string& why) {
  return UnsupportedModel(absl::StrCat("tokenizer.json: regular expression ", Quoted(source), ": ", why));
}

absl::Status TooSlow(const std::string& why) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the tokenizer's regular expression cannot split the text into words: ", why));
}

// The first code point's start at or after `at`.
size_t CodePointStart(std::string_view text, size_t at) {
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return std::min(at, text.size());
}

}  // namespace

struct MatchState::Pcre2 {
  std::unique_ptr<pcre2_match_data, Freeing<&pcre2_match_data_free>> match;
  std::unique_ptr<pcre2_match_context, Freeing<&pcre2_match_context_free>> context;
  std::unique_ptr<pcre2_jit_stack, Freeing<&pcre2_jit_stack_free>> stack;
};

MatchState::MatchState() : pcre2_(std::make_unique<Pcre2>()) {
  pcre2_->match.reset(pcre2_match_data_create(1, nullptr));
  pcre2_->context.reset(pcre2_match_context_create(nullptr));
  if (pcre2_->match == nullptr || pcre2_->context == nullptr) throw std::bad_alloc();
  pcre2_set_heap_limit(pcre2_->context.get(), kHeapLimitKib);
  // Without a stack of its own the JIT uses 32 KiB of the thread's.
  pcre2_->stack.reset(pcre2_jit_stack_create(kJitStackStart, kJitStackMax, nullptr));
  pcre2_jit_stack_assign(pcre2_->context.get(), nullptr, pcre2_->stack.get());
}

MatchState::~MatchState() = default;

void MatchState::Start(size_t bytes) {
  const size_t steps = std::max(kStepsForAnyText, kStepsPerByte * bytes);
  pcre2_set_match_limit(pcre2_->context.get(), static_cast<uint32_t>(std::min<size_t>(steps, UINT32_MAX)));
  deadline_ =
      steady_clock::now() + kTimeForAnyText + std::chrono::milliseconds(bytes / kSlowestBytesPerMillisecond);
}

absl::StatusOr<WordPattern> WordPattern::Create(const std::string& pattern, std::string_view source) {
  const std::unique_ptr<pcre2_compile_context, Freeing<&pcre2_compile_context_free>> context(
      pcre2_compile_context_create(nullptr));
  if (context == nullptr) return absl::ResourceExhaustedError("out of memory for a regular expression");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE error_at = 0;
  std::shared_ptr<pcre2_code> code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                                 kCompileOptions, &error, &error_at, context.get()),
                                   &pcre2_code_free);
  if (code == nullptr) return CannotUse(source, ErrorText(error));
  uint32_t matches_empty = 0;
  pcre2_pattern_info(code.get(), PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) return CannotUse(source, "one that may match the empty text is not supported");
  const int compiled = pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  if (compiled != 0 && compiled != PCRE2_ERROR_JIT_BADOPTION)  // BADOPTION: the interpreter serves
    return CannotUse(source, ErrorText(compiled));
  return WordPattern(std::move(code));
}

absl::StatusOr<std::optional<WordPattern::Range>> WordPattern::Find(std::string_view text, size_t from,
                                                                    MatchState& state) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  MatchState::Pcre2& pcre2 = *state.pcre2_;
  while (from < text.size()) {
    const size_t next = CodePointStart(text, from + kStartsPerCall);
    pcre2_set_offset_limit(pcre2.context.get(), next - 1);
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                                  PCRE2_NO_UTF_CHECK, pcre2.match.get(), pcre2.context.get());
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) return TooSlow(ErrorText(found));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(pcre2.match.get());
    const bool at_once = found >= 0 && range[0] == from;
    const bool look = !at_once || ++state.calls_ % kCallsPerLook == 0;
    if (look && steady_clock::now() > state.deadline_) return TooSlow("it takes too long");
    if (found >= 0) return Range{range[0], range[1]};
    from = next;
  }
  return std::nullopt;
}

}  // namespace induct::checkpoint
