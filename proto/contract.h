// Which contract this program speaks, so that a client and a server of different ones say so instead of
// misreading each other.
#pragma once

#include <cstdint>

namespace induct {

// Raised with every change that a program of the contract before would misread; additions are none.
inline constexpr uint32_t kContract = 1;

// The metadata by which a client tells its own, and its user.
inline constexpr char kContractMetadata[] = "induct-contract";
inline constexpr char kUserMetadata[] = "induct-user";

}  // namespace induct
