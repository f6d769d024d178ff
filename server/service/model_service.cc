// ModelService: what there is, and what is loaded.
#include <algorithm>
#include <functional>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/status.h"
#include "server/runs/prompt_source.h"
#include "server/service/calls.h"
#include "server/service/load_stream.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

constexpr uint32_t kMaxModelPage = 1000;

void SetSizes(const DecoderSpec& spec, v1::Model* model) {
  model->set_architecture(spec.architecture);
  model->set_n_layers(static_cast<uint32_t>(spec.n_layers));
  model->set_n_heads(static_cast<uint32_t>(spec.n_heads));
  model->set_n_kv_heads(static_cast<uint32_t>(spec.n_kv_heads));
  model->set_d_model(static_cast<uint32_t>(spec.d_model));
  model->set_d_head(static_cast<uint32_t>(spec.d_head));
  model->set_d_mlp(static_cast<uint32_t>(spec.d_mlp));
  model->set_vocab_size(static_cast<uint32_t>(spec.vocab_size));
  model->set_max_positions(static_cast<uint32_t>(spec.max_positions));
  int64_t n_parameters = 0;
  for (const TensorSpec* tensor : TensorsOf(spec)) n_parameters += CountOf(*tensor);
  model->set_n_parameters(static_cast<double>(n_parameters));
}

absl::Status SetTokenizer(const checkpoint::Tokenizer* tokenizer, const std::string& problem,
                          v1::Model* model) {
  model->set_has_tokenizer(tokenizer != nullptr);
  model->set_tokenizer_problem(problem);
  if (tokenizer == nullptr) return absl::OkStatus();
  model->set_tokenizer(absl::StrCat("byte-level BPE, ", tokenizer->size(), " tokens"));
  INDUCT_ASSIGN_OR_RETURN(const runs::WordCounts words, runs::CountWords(*tokenizer));
  model->set_n_letters(words.letters);
  model->set_n_names(words.names);
  return absl::OkStatus();
}

absl::Status SetFiles(const models::ModelFiles& files, v1::Model* model) {
  SetSizes(files.spec(), model);
  model->set_stored_dtype(std::string(DTypeName(files.checkpoint().stored_dtype())));
  model->set_stored_bytes(static_cast<double>(files.checkpoint().stored_bytes()));
  return SetTokenizer(files.tokenizer(), files.tokenizer_problem(), model);
}

absl::Status SetOutline(const models::ModelOutline& outline, v1::Model* model) {
  SetSizes(outline.spec, model);
  model->set_state("remote");
  if (outline.dtype) model->set_stored_dtype(std::string(DTypeName(*outline.dtype)));
  model->set_stored_bytes(static_cast<double>(outline.weight_bytes.value_or(0)));
  return SetTokenizer(outline.tokenizer.get(), outline.tokenizer_problem, model);
}

absl::StatusOr<v1::Model> ToMessage(const models::ModelListing& listing) {
  v1::Model model;
  model.set_name(listing.name);
  model.set_problem(listing.problem);
  model.set_state(std::string(models::StateName(listing.state)));
  model.set_revision(listing.revision);
  model.set_resident_bytes(static_cast<double>(listing.resident_bytes));
  model.set_n_pins(listing.n_pins);
  model.set_load_seconds(listing.load_seconds);
  if (listing.last_use != absl::InfinitePast())
    model.mutable_last_use()->set_seconds(absl::ToUnixSeconds(listing.last_use));
  if (listing.files != nullptr) INDUCT_RETURN_IF_ERROR(SetFiles(*listing.files, &model));
  if (listing.outline) INDUCT_RETURN_IF_ERROR(SetOutline(*listing.outline, &model));
  return model;
}

absl::StatusOr<v1::Model> Describe(const ServiceContext& context, const std::string& name) {
  INDUCT_ASSIGN_OR_RETURN(const models::ModelListing listing, context.registry->Describe(name));
  return ToMessage(listing);
}

// From the hub, which `drain` leaves in the middle.
absl::StatusOr<v1::Model> DescribeRemote(const ServiceContext& context, const std::string& name,
                                         const std::stop_token& drain) {
  const absl::StatusOr<models::ModelListing> listing = context.registry->DescribeRemote(name, drain);
  if (listing.ok()) return ToMessage(*listing);
  return absl::IsCancelled(listing.status()) ? ShuttingDown() : listing.status();
}

// The device and dtype that a load asks for, or the server's.
absl::StatusOr<engine::LoadOptions> LoadOptionsOf(const ServiceContext& context,
                                                  const v1::LoadModelRequest& request) {
  v1::JobSpec spec;  // what a job would get that asks for the same
  v1::ProfileSpec& profile = *spec.mutable_profile();
  profile.set_model(request.name());
  if (request.has_dtype()) profile.mutable_run()->set_dtype(request.dtype());
  INDUCT_RETURN_IF_ERROR(Resolve(context.settings, context.limits, &spec));
  std::vector<std::string> devices;
  for (const v1::Device& device : context.info.devices()) devices.push_back(device.name());
  const std::string device = request.has_device() ? request.device() : context.limits.device;
  if (std::find(devices.begin(), devices.end(), device) == devices.end()) {
    return InvalidField(
        "device", absl::StrCat("\"", device, "\" given; this server has ", absl::StrJoin(devices, ", ")));
  }
  return engine::LoadOptions{.device = device, .dtype = *ParseDType(profile.run().dtype())};
}

// Loads the model, which then stays; the handle is needed no longer.
absl::Status Load(const ServiceContext& context, const v1::LoadModelRequest& request,
                  const models::StepSink& on_step, const std::stop_token& stop) {
  INDUCT_ASSIGN_OR_RETURN(const engine::LoadOptions options, LoadOptionsOf(context, request));
  INDUCT_ASSIGN_OR_RETURN(const auto files, context.registry->Open(request.name(), on_step, stop));
  INDUCT_ASSIGN_OR_RETURN(const models::ModelHandle handle,
                          context.registry->Load(files, options, models::WhenFull::kWait, on_step, stop));
  if (!handle.streamed()) return absl::OkStatus();
  return WithReason(
      absl::FailedPreconditionError(
          absl::StrCat("model ", files->name(), " has more weights than the server's budget for ",
                       options.device, ": it can't stay loaded, but jobs may use it, and stream its layers")),
      reason::kModelTooLarge);
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* call,
                                                   const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  return AnswerOn(*context_.slow_pool, call, [this, request, response]() -> absl::Status {
    if (request->page_size() > kMaxModelPage) {
      return InvalidField(
          "page_size", absl::StrCat(request->page_size(), " given, at most ", kMaxModelPage, " are allowed"));
    }
    const size_t page = request->page_size() == 0 ? kMaxModelPage : request->page_size();
    const std::vector<models::ModelListing> listings = context_.registry->List();
    auto next = std::ranges::upper_bound(listings, request->page_token(), {}, &models::ModelListing::name);
    if (request->page_token().empty()) next = listings.begin();
    for (size_t i = 0; i < page && next != listings.end(); ++i, ++next) {
      INDUCT_ASSIGN_OR_RETURN(*response->add_models(), ToMessage(*next));
    }
    if (next != listings.end() && next != listings.begin())
      response->set_next_page_token(std::prev(next)->name);
    return absl::OkStatus();
  });
}

// A hub may take long to answer, so it is asked on a thread for loads: the slow pool has other calls to
// serve.
grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* call,
                                                 const v1::GetModelRequest* request, v1::Model* response) {
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  const auto answer = [=](const std::function<absl::StatusOr<v1::Model>()>& describe) {
    absl::StatusOr<v1::Model> model = WithoutExceptions(describe);
    if (model.ok()) *response = *std::move(model);
    reactor->Finish(ToGrpcStatus(model.status()));
  };
  context_.slow_pool->Post([this, request, reactor, answer] {
    const absl::StatusOr<bool> is_remote =
        WithoutExceptions([&] { return context_.registry->IsRemote(request->name()); });
    if (!is_remote.ok() || !*is_remote) return answer([&] { return Describe(context_, request->name()); });
    const absl::Status started = context_.load_threads->Start([this, request, answer](std::stop_token drain) {
      answer([&] { return DescribeRemote(context_, request->name(), drain); });
    });
    if (!started.ok()) reactor->Finish(ToGrpcStatus(started));
  });
  return reactor;
}

grpc::ServerWriteReactor<v1::LoadModelResponse>* ModelService::LoadModel(
    grpc::CallbackServerContext*, const v1::LoadModelRequest* request) {
  return LoadStream::Start(*context_.load_threads,
                           [this, request](const models::StepSink& on_step,
                                           const std::stop_token& stop) -> absl::StatusOr<v1::Model> {
                             INDUCT_RETURN_IF_ERROR(Load(context_, *request, on_step, stop));
                             return Describe(context_, request->name());
                           });
}

grpc::ServerUnaryReactor* ModelService::UnloadModel(grpc::CallbackServerContext* call,
                                                    const v1::UnloadModelRequest* request,
                                                    v1::Model* response) {
  return AnswerOn(*context_.slow_pool, call, [this, request, response]() -> absl::Status {
    INDUCT_RETURN_IF_ERROR(context_.registry->Unload(request->name()));
    INDUCT_ASSIGN_OR_RETURN(*response, Describe(context_, request->name()));
    return absl::OkStatus();
  });
}

}  // namespace induct::service
