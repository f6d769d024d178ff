// A model of the engine without weights, for tests of what holds models.
#pragma once

#include <memory>
#include <utility>

#include "server/engine/engine.h"

namespace induct::models {

class FakeModel : public engine::Model {
 public:
  explicit FakeModel(engine::LoadOptions options) : options_(std::move(options)) {}

  const DecoderSpec& spec() const override { return spec_; }
  const engine::LoadOptions& options() const override { return options_; }
  int64_t resident_bytes() const override { return 0; }
  absl::Status Run(const engine::Pass&, std::stop_token) override { return absl::OkStatus(); }
  absl::Status RunVariants(const engine::AblationPass&, std::stop_token) override { return absl::OkStatus(); }

 private:
  const engine::LoadOptions options_;
  const DecoderSpec spec_;
};

}  // namespace induct::models
