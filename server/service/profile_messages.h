// RunProfile's messages and the plain types of server/runs and server/analysis, both ways.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/settings.h"
#include "induct/v1/job.pb.h"
#include "induct/v1/profile.pb.h"
#include "server/runs/profile_run.h"

namespace induct::service {

// What a server allows and has, as far as requests meet it.
struct RequestLimits {
  uint32_t max_prompts = 100000;
  std::vector<DType> dtypes;
  std::string device;  // resolved name; decides what dtype `auto` is
  int64_t activation_budget = int64_t{4} << 30;
};

// Checks the request and fills in what it leaves open: every setting, the dtype that `auto` means, the tasks
// of given prompts. INVALID_ARGUMENT naming the field for anything that can be told without the model.
absl::Status ResolveProfileRequest(const Settings& server, const RequestLimits& limits,
                                   v1::RunProfileRequest* request);

// REQUIRES: resolved.
runs::ProfileRequest FromMessage(const v1::RunProfileRequest& request, const RequestLimits& limits);

// Result to message.
v1::Profile ToMessage(const std::string& model, const analysis::ProfileResult& result);
v1::Prompt ToMessage(const analysis::Prompt& prompt);

// Events as serialised JobEvents that carry nothing but their kind; job_messages.h adds sequence, attempt and
// time.
class ProfileEvents : public runs::ProfileEncoder {
 public:
  std::string Preparing(const std::string& step) const override;
  std::string Started(const runs::RunStarted& started) const override;
  std::string LayerScores(const std::string& model, uint32_t n_layers,
                          const analysis::LayerScores& scores) const override;
  std::string Progress(double fraction, uint32_t layers_done, uint32_t n_layers) const override;
  std::string Finished(const std::string& model, const analysis::ProfileResult& result,
                       const jobs::JobRecord& record,
                       const std::vector<std::string>& warnings) const override;
  absl::StatusOr<std::string> ProfileJson(const std::string& model,
                                          const analysis::ProfileResult& result) const override;
};

}  // namespace induct::service
