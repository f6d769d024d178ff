#include "server/checkpoint/pre_tokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/status.h"
#include "server/checkpoint/unicode.h"

namespace induct::checkpoint {
namespace {

constexpr char kGpt2Pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d"
    "| ?\\p{L}+"
    "| ?\\p{N}+"
    "| ?[^" INDUCT_WHITE_SPACE_CLASS
    "\\p{L}\\p{N}]+"
    "|[" INDUCT_WHITE_SPACE_CLASS "]+(?![^" INDUCT_WHITE_SPACE_CLASS
    "])"
    "|[" INDUCT_WHITE_SPACE_CLASS "]+";

std::string ErrorText(int code) {
  char buffer[256] = "";
  pcre2_get_error_message(code, reinterpret_cast<PCRE2_UCHAR*>(buffer), sizeof(buffer));
  return buffer;
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Create() {
  int error = 0;
  PCRE2_SIZE error_at = 0;
  std::shared_ptr<pcre2_code> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kGpt2Pattern), PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                    &error, &error_at, nullptr),
      &pcre2_code_free);
  if (code == nullptr) {
    return absl::InternalError(
        absl::StrCat("PCRE2 refuses the word pattern at ", error_at, ": ", ErrorText(error)));
  }
  const int compiled = pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
  if (compiled != 0 &&
      compiled != PCRE2_ERROR_JIT_BADOPTION) {  // BADOPTION: built without JIT, the interpreter serves
    return absl::InternalError(absl::StrCat("PCRE2 cannot compile the word pattern: ", ErrorText(compiled)));
  }
  return PreTokenizer(std::move(code));
}

absl::Status PreTokenizer::Split(std::string_view text,
                                 const std::function<void(std::string_view)>& word) const {
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)> match(
      pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  if (match == nullptr)
    return WithReason(absl::ResourceExhaustedError("out of memory while splitting text"),
                      reason::kOutOfMemory);
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.get());
  size_t done = 0;
  while (done < text.size()) {
    const int found = pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), done,
                                  PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the text cannot be split into words: ", ErrorText(found)));
    }
    if (range[0] > done) word(text.substr(done, range[0] - done));
    word(text.substr(range[0], range[1] - range[0]));
    done = range[1];  // no alternative matches nothing, so this advances
  }
  if (done < text.size()) word(text.substr(done));
  return absl::OkStatus();
}

}  // namespace induct::checkpoint
