#include "client/saved_results.h"

namespace induct::client {

const google::protobuf::Message* SavedResults::Find(const google::protobuf::Descriptor& type) const {
  for (const auto& message : messages_) {
    if (message->GetDescriptor() == &type) return message.get();
  }
  return nullptr;
}

void SavedResults::PutShared(std::shared_ptr<const google::protobuf::Message> result) {
  Remove(*result->GetDescriptor());
  messages_.push_back(std::move(result));
}

void SavedResults::Remove(const google::protobuf::Descriptor& type) {
  std::erase_if(messages_, [&](const auto& message) { return message->GetDescriptor() == &type; });
}

const FloatArray* SavedResults::Array(std::string_view file) const {
  const auto it = arrays_.find(file);
  return it == arrays_.end() ? nullptr : &it->second;
}

}  // namespace induct::client
