// A run directory read back: what figures, reports and tables are made of, right after a run as well as
// later.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/saved_results.h"
#include "induct/v1/run_files.pb.h"

namespace induct::client {

// The form of run directories that this client writes, and the highest that it reads.
inline constexpr uint32_t kRunFormat = 1;

// What a run holds of one model. Every result that is there is whole: its lists and matrices have the sizes
// that its numbers of layers and heads say, its heads lie inside the model, its name is a name in file names.
struct SavedModel {
  v1::ModelUse use;
  std::string label;  // what figures and reports call it; UTF-8, may hold any character
  SavedResults results;

  template <typename Result>
  const Result* Get() const {
    return results.Get<Result>();
  }
};

struct SavedRun {
  std::string path;
  v1::RunMetadata metadata;
  std::string config;  // config.yaml; empty where it is missing
  std::vector<SavedModel> models;
  SavedResults results;  // of all models together
  // What is missing or cannot be read, a sentence each that names the file; the rest is there.
  std::vector<std::string> problems;

  template <typename Result>
  const Result* Get() const {
    return results.Get<Result>();
  }
};

// Reads a run directory. NOT_FOUND where there is none; DATA_LOSS where its metadata.json cannot be read;
// FAILED_PRECONDITION where a later version of induct wrote it. All of them with the exit code kUsage. A run
// that is unfinished, failed or damaged is read as far as it goes, and its problems say so.
absl::StatusOr<SavedRun> ReadRun(const std::string& path);

// Reads the other files of a run whose metadata.json is yet to be written.
SavedRun ReadRunFiles(const std::string& path, const v1::RunMetadata& metadata);

}  // namespace induct::client
