// The job of a PatternSpec: one head on one prompt, what a researcher looks at next.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/analysis/copy_operations.h"
#include "server/runs/run.h"

namespace induct::runs {

// One head's pattern on one prompt; the probabilities are an artifact of their own.
struct PatternResult {
  engine::Head head;
  uint32_t prompt = 0;
  std::vector<int32_t> tokens;
  std::vector<std::string> token_texts;  // valid UTF-8; empty where the model has no tokenizer
  uint32_t n_bos = 0;
  std::vector<analysis::CopyOperation> operations;  // that the score kind reads in this prompt
};

// `environment` must outlive what is returned.
std::unique_ptr<jobs::Work> NewPatternRun(RunRequest request, engine::Head head, uint32_t prompt,
                                          ResultEncoder<PatternResult> encode,
                                          const RunEnvironment& environment);

}  // namespace induct::runs
