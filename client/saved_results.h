// Results as a run directory holds them: messages by their type, arrays by their file.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/npy.h"
#include "google/protobuf/message.h"

namespace induct::client {

// A plain value: copies share the messages, which do not change. const use is safe from every thread.
class SavedResults {
 public:
  using Messages = std::vector<std::shared_ptr<const google::protobuf::Message>>;
  using Arrays = std::map<std::string, FloatArray, std::less<>>;

  // The result of that type; null where there is none.
  template <typename Result>
  const Result* Get() const {
    return dynamic_cast<const Result*>(Find(*Result::descriptor()));
  }
  const google::protobuf::Message* Find(const google::protobuf::Descriptor& type) const;

  // In the place of another one of its type.
  template <typename Result>
  void Put(Result result) {
    PutShared(std::make_shared<const Result>(std::move(result)));
  }
  void PutShared(std::shared_ptr<const google::protobuf::Message> result);
  void Remove(const google::protobuf::Descriptor& type);

  // The array of that file; null where there is none.
  const FloatArray* Array(std::string_view file) const;
  void PutArray(const std::string& file, FloatArray array) { arrays_[file] = std::move(array); }

  const Messages& messages() const { return messages_; }
  const Arrays& arrays() const { return arrays_; }

 private:
  Messages messages_;
  Arrays arrays_;
};

}  // namespace induct::client
