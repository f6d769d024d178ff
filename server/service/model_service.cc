// ModelService and ServerService: what there is.
#include "common/status.h"
#include "server/service/calls.h"
#include "server/service/services.h"

namespace induct::service {
namespace {

v1::Model ToMessage(const models::ModelListing& listing) {
  v1::Model model;
  model.set_name(listing.name);
  model.set_problem(listing.problem);
  if (listing.files == nullptr) return model;
  const DecoderSpec& spec = listing.files->spec();
  model.set_architecture(spec.architecture);
  model.set_n_layers(static_cast<uint32_t>(spec.n_layers));
  model.set_n_heads(static_cast<uint32_t>(spec.n_heads));
  model.set_d_model(static_cast<uint32_t>(spec.d_model));
  model.set_vocab_size(static_cast<uint32_t>(spec.vocab_size));
  model.set_max_positions(static_cast<uint32_t>(spec.max_positions));
  model.set_n_parameters(static_cast<double>(listing.files->checkpoint().n_parameters()));
  model.set_stored_dtype(std::string(DTypeName(listing.files->checkpoint().stored_dtype())));
  model.set_has_tokenizer(listing.files->tokenizer() != nullptr);
  model.set_resident(listing.resident_bytes > 0);
  model.set_resident_bytes(listing.resident_bytes);
  return model;
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* call,
                                                   const v1::ListModelsRequest*,
                                                   v1::ListModelsResponse* response) {
  return AnswerOn(*context_.slow_pool, call, [this, response]() -> absl::Status {
    for (const models::ModelListing& listing : context_.registry->List())
      *response->add_models() = ToMessage(listing);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* call,
                                                 const v1::GetModelRequest* request, v1::Model* response) {
  return AnswerOn(*context_.slow_pool, call, [this, request, response]() -> absl::Status {
    INDUCT_ASSIGN_OR_RETURN(const models::ModelListing listing, context_.registry->Describe(request->name()));
    *response = ToMessage(listing);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext* call,
                                                       const v1::GetServerInfoRequest*,
                                                       v1::ServerInfo* response) {
  *response = context_.info;
  grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace induct::service
