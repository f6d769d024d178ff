// Errors as absl::Status with two machine-readable additions: a reason (a stable upper-case word) and the
// request field at fault. Rooms attach them here; server/service turns them into google.rpc.ErrorInfo and
// BadRequest, and the client prints them.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace induct {

// Reasons are part of the contract: clients may branch on them. One word per cause, never reworded.
namespace reason {
inline constexpr char kInvalidField[] = "INVALID_FIELD";
inline constexpr char kPromptTooLong[] = "PROMPT_TOO_LONG";
inline constexpr char kTokenOutsideVocabulary[] = "TOKEN_OUTSIDE_VOCABULARY";
inline constexpr char kNoCopyOperations[] = "NO_COPY_OPERATIONS";
inline constexpr char kNotEnoughWords[] = "NOT_ENOUGH_WORDS";
inline constexpr char kNoTokenizer[] = "NO_TOKENIZER";
inline constexpr char kDifferentTokenizers[] = "DIFFERENT_TOKENIZERS";
inline constexpr char kModelNotFound[] = "MODEL_NOT_FOUND";
inline constexpr char kModelNotAllowed[] = "MODEL_NOT_ALLOWED";
inline constexpr char kModelTooLarge[] = "MODEL_TOO_LARGE";
inline constexpr char kModelInUse[] = "MODEL_IN_USE";
inline constexpr char kBadCheckpoint[] = "BAD_CHECKPOINT";
inline constexpr char kUnsupportedModel[] = "UNSUPPORTED_MODEL";
inline constexpr char kHubAccessDenied[] = "HUB_ACCESS_DENIED";
inline constexpr char kHubUnreachable[] = "HUB_UNREACHABLE";
inline constexpr char kHubUnavailable[] = "HUB_UNAVAILABLE";
inline constexpr char kHubWrongContent[] = "HUB_WRONG_CONTENT";
inline constexpr char kHubCacheUnusable[] = "HUB_CACHE_UNUSABLE";
inline constexpr char kNonFiniteScores[] = "NON_FINITE_SCORES";
inline constexpr char kOutOfMemory[] = "OUT_OF_MEMORY";
inline constexpr char kJobNotFound[] = "JOB_NOT_FOUND";
inline constexpr char kArtifactNotFound[] = "ARTIFACT_NOT_FOUND";
inline constexpr char kRequestIdReused[] = "REQUEST_ID_REUSED";
inline constexpr char kQueueFull[] = "QUEUE_FULL";
inline constexpr char kQuotaUsed[] = "QUOTA_USED";
inline constexpr char kTooManyLoads[] = "TOO_MANY_LOADS";
inline constexpr char kDraining[] = "DRAINING";
inline constexpr char kDeadline[] = "DEADLINE";

// All of them, for who counts errors by their reason.
inline constexpr std::string_view kAll[] = {kInvalidField,
                                            kPromptTooLong,
                                            kTokenOutsideVocabulary,
                                            kNoCopyOperations,
                                            kNotEnoughWords,
                                            kNoTokenizer,
                                            kDifferentTokenizers,
                                            kModelNotFound,
                                            kModelNotAllowed,
                                            kModelTooLarge,
                                            kModelInUse,
                                            kBadCheckpoint,
                                            kUnsupportedModel,
                                            kHubAccessDenied,
                                            kHubUnreachable,
                                            kHubUnavailable,
                                            kHubWrongContent,
                                            kHubCacheUnusable,
                                            kNonFiniteScores,
                                            kOutOfMemory,
                                            kJobNotFound,
                                            kArtifactNotFound,
                                            kRequestIdReused,
                                            kQueueFull,
                                            kQuotaUsed,
                                            kTooManyLoads,
                                            kDraining,
                                            kDeadline};
}  // namespace reason

// `status` with the reason attached (and `field`, a path such as "evaluation.high_score_quantile", where one
// is at fault). An OK status is returned as it is.
absl::Status WithReason(absl::Status status, std::string_view reason, std::string_view field = "");

// INVALID_ARGUMENT with reason INVALID_FIELD. The message should say what was given, what is allowed.
absl::Status InvalidField(std::string_view field, std::string_view message);

// CANCELLED, of work whose stop token was requested. `where` says at what, as "during the bootstrap"; empty: it
// does not matter.
absl::Status Stopped(std::string_view where = "");

// What WithReason attached; empty where nothing was.
std::string ReasonOf(const absl::Status& status);
std::string FieldOf(const absl::Status& status);
// The reason or, where there is none, the name of the code ("INTERNAL"): the word that clients are told.
std::string ReasonOrCode(const absl::Status& status);

// `status` with "context: " put before its message; code, reason and field stay.
absl::Status Annotate(const absl::Status& status, std::string_view context);

}  // namespace induct

// Returns from the enclosing function where `expression` is an error status.
#define INDUCT_RETURN_IF_ERROR(expression)                                                    \
  do {                                                                                        \
    if (absl::Status induct_status = (expression); !induct_status.ok()) return induct_status; \
  } while (false)

#define INDUCT_CONCAT_INNER(a, b) a##b
#define INDUCT_CONCAT(a, b) INDUCT_CONCAT_INNER(a, b)

// INDUCT_ASSIGN_OR_RETURN(auto x, F()): returns F's error, or assigns its value.
#define INDUCT_ASSIGN_OR_RETURN(lhs, expression) \
  INDUCT_ASSIGN_OR_RETURN_INNER(INDUCT_CONCAT(induct_result_, __LINE__), lhs, expression)
#define INDUCT_ASSIGN_OR_RETURN_INNER(result, lhs, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return std::move(result).status();         \
  lhs = *std::move(result)
