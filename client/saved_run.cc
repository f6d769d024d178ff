#include "client/saved_run.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/exit_code.h"
#include "client/kinds.h"
#include "common/atomic_file.h"
#include "common/file_names.h"
#include "common/npy.h"
#include "common/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/reflection.h"
#include "induct/v1/profile.pb.h"
#include "proto/message_json.h"

namespace induct::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr uint32_t kMaxSavedLayers = 1u << 16;

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
absl::Status CheckHeads(const Message& message, ModelSize size) {
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

// Reads the files of one run, noting what goes wrong.
class Reader {
 public:
  explicit Reader(SavedRun* run) : run_(run) {}

  // Reads the kind's result and its arrays into `results`. A missing file is a problem only where `expected`.
  // `use` is the model's; of a kind that compares models null.
  void ReadResult(const AnalysisKind& kind, const v1::ModelUse* use, bool expected, SavedResults* results) {
    const std::string model = use == nullptr ? "" : use->name();
    const ModelSize size = use == nullptr ? ModelSize() : ModelSize{use->n_layers(), use->n_heads()};
    const std::string name = kind.result.name(model);
    const auto bytes = Bytes(name, expected);
    if (!bytes.has_value()) return;
    std::shared_ptr<Message> result(kind.result.prototype->New());
    absl::Status status = FromJson(*bytes, result.get());
    if (status.ok()) status = CheckNumbers(*result);
    if (status.ok() && use != nullptr) status = CheckHeads(*result, size);
    if (status.ok() && kind.result.check != nullptr) status = kind.result.check(*result, size);
    if (!status.ok()) return Note(name, status);
    if (kind.result.arrays != nullptr) {
      for (const ArrayFile& array : kind.result.arrays(*result, model, size)) ReadArray(array, results);
    }
    results->PutShared(std::move(result));
  }

  void ReadArray(const ArrayFile& file, SavedResults* results) {
    const auto bytes = Bytes(file.name, /*expected=*/true);
    if (!bytes.has_value()) return;
    auto array = ParseFloatNpy(*bytes);
    absl::Status status = array.status();
    if (status.ok() && array->shape != file.shape) status = absl::DataLossError("it has another shape");
    for (size_t i = 0; status.ok() && i < array->values.size(); ++i) {
      if (!std::isfinite(array->values[i])) status = absl::DataLossError("it has a value that is no number");
    }
    if (!status.ok()) return Note(file.name, status);
    results->PutArray(file.name, *std::move(array));
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

// Whether a run that succeeded leaves a result of the kind.
bool Expects(const v1::RunMetadata& metadata, const AnalysisKind& kind) {
  const AnalysisKind* own = KindOfCommand(metadata.command());
  return metadata.state() == "succeeded" && own != nullptr && Leaves(*own, kind);
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
    SavedModel& model = run.models.emplace_back();
    model.use = run.metadata.models(i);
    model.label = i < run.metadata.labels_size() ? run.metadata.labels(i) : model.use.source();
    if (model.label.empty()) model.label = model.use.name();
    for (const AnalysisKind& kind : AnalysisKinds()) {
      if (!kind.compares_models)
        reader.ReadResult(kind, &model.use, Expects(run.metadata, kind), &model.results);
    }
  }
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.compares_models) reader.ReadResult(kind, nullptr, Expects(run.metadata, kind), &run.results);
  }
  return run;
}

}  // namespace induct::client
