// A run directory read back: what figures, reports and tables are made of, right after a run as well as
// later.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/npy.h"
#include "induct/v1/causal.pb.h"
#include "induct/v1/cross_size.pb.h"
#include "induct/v1/lag_buckets.pb.h"
#include "induct/v1/nulls.pb.h"
#include "induct/v1/pattern.pb.h"
#include "induct/v1/profile.pb.h"
#include "induct/v1/run_files.pb.h"

namespace induct::client {

// The form of run directories that this client writes, and the highest that it reads.
inline constexpr uint32_t kRunFormat = 1;

// What a run holds of one model. Every result that is there is whole: its lists and matrices have the sizes
// that its numbers of layers and heads say, its heads lie inside the model, its name is a name in file names.
struct SavedModel {
  v1::ModelUse use;
  std::string label;  // what figures and reports call it; UTF-8, may hold any character
  std::optional<v1::Profile> profile;
  std::optional<FloatArray> scores;  // [n_layers, n_heads] of the profile's score kind
  std::optional<v1::Nulls> nulls;
  std::optional<v1::Causal> causal;
  std::optional<v1::LagBuckets> lag_buckets;
  std::optional<v1::AttentionPattern> pattern;
  std::optional<FloatArray> attention;  // [n_tokens, n_tokens] of the pattern
};

struct SavedRun {
  std::string path;
  v1::RunMetadata metadata;
  std::string config;  // config.yaml; empty where it is missing
  std::vector<SavedModel> models;
  std::optional<v1::CrossSize> cross_size;
  // What is missing or cannot be read, a sentence each that names the file; the rest is there.
  std::vector<std::string> problems;
};

// Reads a run directory. NOT_FOUND where there is none; DATA_LOSS where its metadata.json cannot be read;
// FAILED_PRECONDITION where a later version of induct wrote it. All of them with the exit code kUsage. A run
// that is unfinished, failed or damaged is read as far as it goes, and its problems say so.
absl::StatusOr<SavedRun> ReadRun(const std::string& path);

// Reads the other files of a run whose metadata.json is yet to be written.
SavedRun ReadRunFiles(const std::string& path, const v1::RunMetadata& metadata);

}  // namespace induct::client
