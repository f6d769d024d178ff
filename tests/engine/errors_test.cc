#include "server/engine/errors.h"

#include <ATen/ops/empty.h>
#include <dnnl.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

// So that the sanitizer lets an allocation fail, as it does without one.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }

namespace induct::engine {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ErrorsTest, StatusesPassThrough) {
  EXPECT_TRUE(CatchErrors([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(CatchErrors([] { return absl::AbortedError("as it is"); }), absl::AbortedError("as it is"));
}

TEST(ErrorsTest, ACpuAllocationThatFailsIsOutOfMemory) {
  const absl::Status status = CatchErrors([] {
    at::empty({int64_t{1} << 55}, at::kFloat);
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_TRUE(IsOutOfMemory(status));
}

TEST(ErrorsTest, AFailedVectorIsOutOfMemory) {
  EXPECT_TRUE(IsOutOfMemory(CatchErrors([]() -> absl::Status { throw std::bad_alloc(); })));
}

TEST(ErrorsTest, WhatOneDnnHasNoMemoryForIsOutOfMemory) {
  const auto thrown = [](dnnl_status_t status) {
    return CatchErrors([&]() -> absl::Status { throw dnnl::error(status, "could not create a primitive"); });
  };
  EXPECT_TRUE(IsOutOfMemory(thrown(dnnl_out_of_memory)));
  EXPECT_EQ(thrown(dnnl_unimplemented).code(), absl::StatusCode::kInternal);
}

TEST(ErrorsTest, AMisusedTensorIsInternalWithoutBacktrace) {
  const absl::Status status = CatchErrors([] {
    at::empty({2, 3}).view({7});
    return absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("invalid for input of size"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("frame #")));
  EXPECT_FALSE(IsOutOfMemory(status));
}

TEST(ErrorsTest, OtherExceptionsAreInternal) {
  const absl::Status status = CatchErrors([]() -> absl::Status { throw std::runtime_error("boom"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), HasSubstr("boom"));
}

}  // namespace
}  // namespace induct::engine
