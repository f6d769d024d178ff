// Waiting for a device without keeping other threads from it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/Event.h>

#include <optional>

namespace induct::engine {

// Comes when all that the calling thread's stream was given so far is done; nothing on a CPU, where it is
// done already.
std::optional<c10::Event> EventNow(c10::Device device);

// The tensor on the CPU, once it is there; the same one where it is on the CPU. Tensor::cpu() goes to memory
// that is not pinned, and while one thread waits for that, CUDA lets no other begin a copy, such as that of
// the next layer.
at::Tensor ToHost(const at::Tensor& tensor);

}  // namespace induct::engine
