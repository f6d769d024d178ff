// What every job spec has, whatever its kind. Found by reflection in the contract's oneof, so that no kind is
// named here: its kind's name, the profile that its analysis begins with, its models.
#pragma once

#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "induct/v1/analyses.pb.h"

namespace induct {

// The kinds of jobs, as the contract has them: "profile", "crosssize", ...
std::vector<std::string> JobKindNames();

// The spec's kind; empty where it has no analysis, as a client of another contract sends it.
std::string KindOf(const v1::JobSpec& spec);

// REQUIRES, of all that follow but SpecSha256: the spec has an analysis.
const v1::ProfileSpec& ProfileOf(const v1::JobSpec& spec);
v1::ProfileSpec* MutableProfileOf(v1::JobSpec* spec);

// The models that it names, which may be empty texts.
std::vector<std::string> ModelsOf(const v1::JobSpec& spec);
// REQUIRES: as many as the spec names.
void SetModelsOf(const std::vector<std::string>& models, v1::JobSpec* spec);

// Puts the numbers of given prompts in the place of the prompts, wherever the spec has some.
void CountGivenPrompts(v1::JobSpec* spec);

// What is asked, whoever asks and whenever: 64 hexadecimal digits over the spec without request id and
// annotations.
std::string SpecSha256(v1::JobSpec spec);

}  // namespace induct
