#include "client/run_writer.h"

#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/annotations.h"
#include "client/exit_code.h"
#include "client/kinds.h"
#include "client/repeat_flags.h"
#include "client/request.h"
#include "client/saved_run.h"
#include "common/file_names.h"
#include "common/settings.h"
#include "common/status.h"
#include "common/version.h"
#include "nlohmann/json.hpp"
#include "proto/job_specs.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

// Settings as the run used them, as a file that repeats it, with the flags that say the rest.
absl::StatusOr<std::string> ConfigYaml(const v1::JobAccepted& accepted, const v1::RunMetadata& metadata) {
  const auto settings = SettingsOfSpec(accepted.spec());
  if (!settings.ok()) {
    return WithExitCode(
        Annotate(settings.status(), "the server used a setting that this client does not know; update it"),
        ExitCode::kJobFailed);
  }
  constexpr std::array kOwners = {SettingOwner::kRequest};
  const std::vector<std::string> models(accepted.models().begin(), accepted.models().end());
  const std::string flags = FlagsToRepeat(accepted.spec(), models.empty() ? "" : models.front(),
                                          {metadata.labels().begin(), metadata.labels().end()});
  // No real path, so that equal runs leave equal files; and not from within, where figs/ would be
  // overwritten.
  const std::string comment = absl::StrCat(
      "# To repeat the run from another folder, RUN being this one: induct-client ", metadata.command(),
      " --settings RUN/", kConfigFile, flags.empty() ? "" : " ", flags, "\n");
  return absl::StrCat(comment, "models: ", nlohmann::json(models).dump(),
                      "\n",  // JSON strings are YAML strings
                      settings->ToYaml(kOwners));
}

}  // namespace

RunWriter::RunWriter(RunDirectory* directory, const v1::ServerInfo& server, const std::string& request_sha256,
                     absl::Time created)
    : directory_(directory) {
  metadata_.set_state("running");
  metadata_.set_client_version(kVersion);
  metadata_.set_created(absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", created, absl::UTCTimeZone()));
  metadata_.mutable_server()->set_version(server.version());
  metadata_.mutable_server()->set_libtorch(server.libtorch());
  metadata_.set_request_sha256(request_sha256);
  metadata_.set_format(kRunFormat);
}

absl::Status RunWriter::Accept(const v1::JobAccepted& accepted) {
  if (KindOfSpec(accepted.spec()) == nullptr) {
    return WithExitCode(absl::FailedPreconditionError(absl::StrCat(
                            accepted.job(), " is of a kind that this client does not know; update it")),
                        ExitCode::kUsage);
  }
  const std::vector<std::string> labels =
      LabelsOf(accepted.spec(), {accepted.models().begin(), accepted.models().end()});
  const v1::ProfileSpec& profile = ProfileOf(accepted.spec());
  metadata_.set_command(CommandOf(accepted.spec()));
  metadata_.mutable_labels()->Assign(labels.begin(), labels.end());
  metadata_.set_job(accepted.job());
  metadata_.set_seed(profile.run().seed());
  metadata_.set_n_given_prompts(profile.n_given_prompts());
  metadata_.mutable_server()->set_id(accepted.server_id());
  INDUCT_RETURN_IF_ERROR(WriteMetadata());
  INDUCT_ASSIGN_OR_RETURN(const std::string config, ConfigYaml(accepted, metadata_));
  return directory_->Write(kConfigFile, config);
}

absl::Status RunWriter::Start(const v1::JobStarted& started) {
  metadata_.set_device(started.device());
  *metadata_.mutable_models() = started.models();
  metadata_.set_n_prompts(started.n_prompts());
  metadata_.set_n_tokens(started.n_tokens());
  *metadata_.mutable_warnings() = started.warnings();
  return WriteMetadata();
}

absl::Status RunWriter::Save(const std::string& artifact, std::string_view bytes) {
  return directory_->Write(artifact, bytes);
}

void RunWriter::Finish(const v1::JobFinished& finished) {
  *metadata_.mutable_seconds() = finished.seconds();
  *metadata_.mutable_warnings() = finished.warnings();
}

void RunWriter::Conclude(const absl::Status& outcome) {
  metadata_.set_state(outcome.ok() ? "succeeded" : absl::IsCancelled(outcome) ? "cancelled" : "failed");
  // Files of the run are named without its folder, which may be moved and which readers know.
  const std::string message(outcome.message());
  metadata_.set_error(path().empty() ? message
                                     : absl::StrReplaceAll(message, {{absl::StrCat(path(), "/"), ""}}));
}

absl::Status RunWriter::Close() { return path().empty() ? absl::OkStatus() : WriteMetadata(); }

absl::Status RunWriter::WriteMetadata() {
  INDUCT_ASSIGN_OR_RETURN(const std::string json, ToJson(metadata_));
  return directory_->Write(kMetadataFile, json);
}

}  // namespace induct::client
