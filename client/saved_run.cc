#include "client/saved_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "common/atomic_file.h"
#include "common/file_names.h"
#include "common/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr uint32_t kMaxSavedLayers = 1u << 16;

struct Size {
  uint32_t n_layers = 0;
  uint32_t n_heads = 0;
};

// Calls `visit` for the message and every message within it.
template <typename Visit>
absl::Status VisitMessages(const Message& message, const Visit& visit) {
  INDUCT_RETURN_IF_ERROR(visit(message));
  std::vector<const FieldDescriptor*> fields;
  const google::protobuf::Reflection* reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int n = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < n; ++i) {
      INDUCT_RETURN_IF_ERROR(VisitMessages(field->is_repeated()
                                               ? reflection->GetRepeatedMessage(message, field, i)
                                               : reflection->GetMessage(message, field),
                                           visit));
    }
  }
  return absl::OkStatus();
}

bool IsFinite(const Message& message, const FieldDescriptor* field) {
  const google::protobuf::Reflection* reflection = message.GetReflection();
  if (!field->is_repeated()) return std::isfinite(reflection->GetDouble(message, field));
  const auto values = reflection->GetRepeatedFieldRef<double>(message, field);
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

// protobuf's JSON may hold "NaN" and "Infinity"; a run's never does.
absl::Status CheckNumbers(const Message& message) {
  return VisitMessages(message, [](const Message& part) -> absl::Status {
    std::vector<const FieldDescriptor*> fields;
    part.GetReflection()->ListFields(part, &fields);
    for (const FieldDescriptor* field : fields) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE && !IsFinite(part, field))
        return absl::DataLossError(absl::StrCat("its ", field->name(), " is no finite number"));
    }
    return absl::OkStatus();
  });
}

// Every matrix has the model's shape, every head lies inside the model.
absl::Status CheckHeads(const Message& message, Size size) {
  return VisitMessages(message, [&](const Message& part) -> absl::Status {
    if (const auto* matrix = dynamic_cast<const v1::HeadMatrix*>(&part)) {
      if (matrix->n_layers() != size.n_layers || matrix->n_heads() != size.n_heads ||
          static_cast<uint64_t>(matrix->values_size()) != uint64_t{size.n_layers} * size.n_heads) {
        return absl::DataLossError("a matrix has another shape than the model");
      }
    } else if (const auto* head = dynamic_cast<const v1::HeadRef*>(&part)) {
      if (head->layer() >= size.n_layers || head->head() >= size.n_heads)
        return absl::DataLossError("a head lies outside the model");
    }
    return absl::OkStatus();
  });
}

using Values = google::protobuf::RepeatedField<double>;

absl::Status CheckLists(Size size, std::initializer_list<const Values*> required,
                        std::initializer_list<const Values*> optional = {}) {
  const auto wrong = [&](const Values& list) { return list.size() != static_cast<int>(size.n_layers); };
  for (const Values* list : required) {
    if (wrong(*list)) return absl::DataLossError("a list over layers has another length than the model");
  }
  for (const Values* list : optional) {
    if (!list->empty() && wrong(*list))
      return absl::DataLossError("a list over layers has another length than the model");
  }
  return absl::OkStatus();
}

absl::Status CheckBootstrap(const v1::ProfileBootstrap& bootstrap, Size size) {
  return CheckLists(size, {&bootstrap.per_layer().ci_low(), &bootstrap.per_layer().ci_high()},
                    {&bootstrap.peak_layer_frequency()});
}

absl::Status Check(const v1::Profile& profile, Size size) {
  if (profile.n_layers() != size.n_layers || profile.n_heads() != size.n_heads)
    return absl::DataLossError("it is of a model of another size than metadata.json says");
  for (const v1::TopHead& head : profile.top_heads()) {
    if (head.layer() >= size.n_layers || head.head() >= size.n_heads)
      return absl::DataLossError("a head lies outside the model");
  }
  if (profile.has_peak_layer() && profile.peak_layer() >= size.n_layers)
    return absl::DataLossError("its peak lies outside the model");
  INDUCT_RETURN_IF_ERROR(CheckLists(size, {&profile.per_layer()}));
  return profile.has_bootstrap() ? CheckBootstrap(profile.bootstrap(), size) : absl::OkStatus();
}

absl::Status Check(const v1::AntecedentNull& null, Size size) {
  if (null.n_copy_ops() == 0) return absl::OkStatus();
  if (!null.has_observed() || !null.has_null_mean() || !null.has_effect() || !null.has_layers())
    return absl::DataLossError("a null lacks its values");
  const v1::AntecedentNullLayers& layers = null.layers();
  return CheckLists(size, {&layers.observed(), &layers.null_mean(), &layers.effect()},
                    {&layers.effect_ci_low(), &layers.effect_ci_high(), &layers.p_adjusted()});
}

absl::Status Check(const v1::Nulls& nulls, Size size) {
  const v1::ShuffledAntecedent& shuffled = nulls.shuffled_antecedent();
  INDUCT_RETURN_IF_ERROR(Check(shuffled.uniform(), size));
  INDUCT_RETURN_IF_ERROR(Check(shuffled.lag_matched(), size));
  INDUCT_RETURN_IF_ERROR(Check(shuffled.same_distance(), size));
  if (!nulls.has_head_permutation()) return absl::OkStatus();
  const v1::HeadPermutation& heads = nulls.head_permutation();
  return CheckLists(size,
                    {&heads.observed_density(), &heads.null_mean(), &heads.band_low(), &heads.band_high()},
                    {&heads.p_adjusted()});
}

absl::Status Check(const v1::Causal& causal, Size) {
  const bool whole = causal.has_baseline() && causal.has_top_k() && causal.has_random_k() &&
                     causal.has_matched_k() && causal.has_selection_scores();
  return whole ? absl::OkStatus() : absl::DataLossError("it lacks an arm");
}

absl::Status Check(const v1::LagBuckets& lags, Size size) {
  if (lags.buckets().empty()) return absl::DataLossError("it has no buckets");
  for (const v1::LagBucket& bucket : lags.buckets()) {
    if (bucket.n_copy_ops() == 0) continue;
    INDUCT_RETURN_IF_ERROR(CheckLists(size, {&bucket.per_layer()}));
    if (bucket.has_bootstrap()) INDUCT_RETURN_IF_ERROR(CheckBootstrap(bucket.bootstrap(), size));
  }
  return absl::OkStatus();
}

absl::Status Check(const v1::AttentionPattern& pattern, Size) {
  if (!pattern.has_head() || pattern.token_ids().empty())
    return absl::DataLossError("it has no head or tokens");
  if (!pattern.tokens().empty() && pattern.tokens_size() != pattern.token_ids_size())
    return absl::DataLossError("it has texts for some tokens only");
  for (const v1::PatternTarget& target : pattern.targets()) {
    if (target.key() > target.query() || target.query() >= static_cast<uint32_t>(pattern.token_ids_size()))
      return absl::DataLossError("a target lies outside the prompt");
  }
  return absl::OkStatus();
}

// Reads the files of one run, noting what goes wrong.
class Reader {
 public:
  explicit Reader(SavedRun* run) : run_(run) {}

  // The file's message; empty where it is damaged, or missing: which is a problem only where `expected`.
  template <typename Result>
  std::optional<Result> ReadResult(const std::string& name, Size size, bool expected) {
    const auto bytes = Bytes(name, expected);
    if (!bytes.has_value()) return std::nullopt;
    Result result;
    absl::Status status = FromJson(*bytes, &result);
    if (status.ok()) status = CheckNumbers(result);
    if (status.ok()) status = CheckHeads(result, size);
    if (status.ok()) status = Check(result, size);
    if (status.ok()) return result;
    Note(name, status);
    return std::nullopt;
  }

  std::optional<FloatArray> ReadArray(const std::string& name, const std::vector<int64_t>& shape) {
    const auto bytes = Bytes(name, /*expected=*/true);
    if (!bytes.has_value()) return std::nullopt;
    auto array = ParseFloatNpy(*bytes);
    absl::Status status = array.status();
    if (status.ok() && array->shape != shape) status = absl::DataLossError("it has another shape");
    for (size_t i = 0; status.ok() && i < array->values.size(); ++i) {
      if (!std::isfinite(array->values[i])) status = absl::DataLossError("it has a value that is no number");
    }
    if (status.ok()) return *std::move(array);
    Note(name, status);
    return std::nullopt;
  }

  std::optional<std::string> Bytes(const std::string& name, bool expected) {
    auto bytes = ReadFile(absl::StrCat(run_->path, "/", name));
    if (bytes.ok()) return *std::move(bytes);
    if (!absl::IsNotFound(bytes.status())) {
      Note(name, bytes.status());
    } else if (expected) {
      run_->problems.push_back(absl::StrCat(name, " is missing"));
    }
    return std::nullopt;
  }

  void Note(const std::string& name, const absl::Status& status) {
    run_->problems.push_back(absl::StrCat(name, " cannot be used: ", status.message()));
  }

 private:
  SavedRun* run_;
};

// Whether a run of this command that succeeded has a file of the kind.
bool Expects(const v1::RunMetadata& metadata, std::string_view what) {
  const std::string& command = metadata.command();
  if (metadata.state() != "succeeded") return false;
  if (what == "profile") {
    return command == "profile" || command == "nulls" || command == "crosssize" || command == "multisize";
  }
  return command == what;
}

SavedModel ReadModel(const v1::ModelUse& use, const v1::RunMetadata& metadata, Reader* reader) {
  SavedModel model{.use = use};
  const Size size{use.n_layers(), use.n_heads()};
  const std::string& name = use.name();
  const auto expects = [&](std::string_view what) { return Expects(metadata, what); };
  model.profile = reader->ReadResult<v1::Profile>(ProfileFile(name), size, expects("profile"));
  if (model.profile.has_value())
    model.scores = reader->ReadArray(ScoresFile(name), {size.n_layers, size.n_heads});
  model.nulls = reader->ReadResult<v1::Nulls>(NullsFile(name), size, expects("nulls"));
  model.causal = reader->ReadResult<v1::Causal>(CausalFile(name), size, expects("causal"));
  model.lag_buckets = reader->ReadResult<v1::LagBuckets>(LagBucketsFile(name), size, expects("lagbuckets"));
  model.pattern = reader->ReadResult<v1::AttentionPattern>(PatternFile(name), size, expects("pattern"));
  if (model.pattern.has_value()) {
    const int64_t n_tokens = model.pattern->token_ids_size();
    model.attention = reader->ReadArray(PatternArrayFile(name), {n_tokens, n_tokens});
  }
  return model;
}

absl::StatusOr<v1::RunMetadata> ReadMetadata(const std::string& path) {
  const std::string file = absl::StrCat(path, "/", kMetadataFile);
  const auto bytes = ReadFile(file);
  if (!bytes.ok()) return Annotate(bytes.status(), absl::StrCat(path, " is no run directory"));
  v1::RunMetadata metadata;
  if (const absl::Status status = FromJson(*bytes, &metadata); !status.ok()) return Annotate(status, file);
  if (metadata.format() > kRunFormat) {
    return absl::FailedPreconditionError(absl::StrCat(path, " was written by a later induct (form ",
                                                      metadata.format(), ", this one reads ", kRunFormat,
                                                      "): update induct-client"));
  }
  for (const v1::ModelUse& use : metadata.models()) {
    if (!IsSafeFileName(use.name()) || use.n_layers() == 0 || use.n_heads() == 0 ||
        use.n_layers() > kMaxSavedLayers || use.n_heads() > kMaxSavedLayers)
      return absl::DataLossError(
          absl::StrCat(file, ": a model in it has no name, layers or heads that can be"));
  }
  return metadata;
}

}  // namespace

absl::StatusOr<SavedRun> ReadRun(const std::string& path) {
  const auto metadata = ReadMetadata(path);
  if (!metadata.ok()) return WithExitCode(metadata.status(), ExitCode::kUsage);
  return ReadRunFiles(path, *metadata);
}

SavedRun ReadRunFiles(const std::string& path, const v1::RunMetadata& metadata) {
  SavedRun run{.path = path, .metadata = metadata};
  Reader reader(&run);
  if (run.metadata.state() != "succeeded") {
    run.problems.push_back(absl::StrCat("the run is not complete: its state is \"", run.metadata.state(),
                                        "\"", run.metadata.error().empty() ? "" : ": ",
                                        run.metadata.error()));
  }
  run.config = reader.Bytes(kConfigFile, /*expected=*/true).value_or("");
  for (int i = 0; i < run.metadata.models_size(); ++i) {
    SavedModel model = ReadModel(run.metadata.models(i), run.metadata, &reader);
    model.label = i < run.metadata.labels_size() ? run.metadata.labels(i) : model.use.source();
    if (model.label.empty()) model.label = model.use.name();
    run.models.push_back(std::move(model));
  }
  if (const auto bytes =
          reader.Bytes(kCrossSizeFile, run.metadata.state() == "succeeded" && run.models.size() > 1)) {
    v1::CrossSize cross_size;
    absl::Status status = FromJson(*bytes, &cross_size);
    if (status.ok()) status = CheckNumbers(cross_size);
    if (status.ok()) {
      run.cross_size = std::move(cross_size);
    } else {
      reader.Note(kCrossSizeFile, status);
    }
  }
  return run;
}

}  // namespace induct::client
