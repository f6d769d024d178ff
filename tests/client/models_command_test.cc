// induct-client models and inspect as a user sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <optional>
#include <tuple>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "tests/client/fake_server.h"
#include "tests/client/run_client.h"

namespace induct::client {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class ModelsTest : public testing::Test {
 protected:
  ModelsTest() {
    v1::Model& model = *script_.models.add_models();
    model.set_name("EleutherAI/pythia-410m-deduped@step143000");
    model.set_state("unloading");
    model.set_architecture("gpt_neox");
    model.set_revision("0123456789abcdef0123456789abcdef01234567");
    model.set_n_layers(36);
    model.set_n_heads(20);
    model.set_n_kv_heads(8);
    model.set_d_head(64);
    model.set_n_parameters(1.01e9);
    model.set_stored_dtype("bfloat16");
    model.set_stored_bytes(2'020'000'000);
    model.set_resident_bytes(4'040'000'000);
    model.set_n_pins(2);
    model.set_load_seconds(3.25);
    model.mutable_last_use()->set_seconds(absl::ToUnixSeconds(absl::Now() - absl::Minutes(59)));
    model.set_has_tokenizer(true);
    model.set_tokenizer("byte-level BPE, 50277 tokens");
    model.set_n_letters(51);
    model.set_n_names(47);
    v1::Model& bare = *script_.models.add_models();
    bare.set_name("bare");
    bare.set_state("unloaded");
    bare.set_n_heads(8);
    bare.set_n_kv_heads(8);
    bare.set_tokenizer_problem("it has no tokenizer.json");
    v1::Model& broken = *script_.models.add_models();
    broken.set_name("broken");
    broken.set_problem("no config.json\x1b[2J");
    v1::JobPreparing& opening = script_.load_steps.emplace_back();
    opening.set_step("downloading model.safetensors");
    opening.set_fraction(0.43);
  }

  ClientResult Run(const std::vector<std::string>& arguments) {
    if (!server_) server_.emplace(script_);
    return RunClient(arguments, folder_.path(), {{"INDUCT_SERVER", server_->address()}});
  }

  Script script_;
  std::optional<FakeServer> server_;
  const TemporaryFolder folder_;
};

TEST_F(ModelsTest, TheTableFitsAHundredColumnsAndProblemsStandBelowIt) {
  const ClientResult result = Run({"models"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::vector<std::string> lines = absl::StrSplit(result.out, '\n');
  EXPECT_EQ(lines[1],
            "EleutherAI/pythia-410m-deduped@step143000  unloading  36 x 20  1.01B   bfloat16  2.02 GB  "
            "59 min ago");
  for (const std::string& line : lines) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_THAT(result.out, HasSubstr("\n\nbroken: no config.json\\x1b[2J\n"));
  EXPECT_THAT(json::parse(Run({"models", "--json"}).out)["models"], SizeIs(3));
}

TEST_F(ModelsTest, AnAvailableModelIsCalledLoadedAndStaysAvailableInJson) {
  script_.models.mutable_models(1)->set_state("available");
  EXPECT_THAT(Run({"models"}).out, AllOf(ContainsRegex("bare +loaded +0 x 8"), Not(HasSubstr("available"))));
  EXPECT_THAT(Run({"inspect", "bare"}).out, ContainsRegex("state +loaded\n"));
  EXPECT_EQ(json::parse(Run({"inspect", "bare", "--json"}).out)["state"], "available");
}

TEST_F(ModelsTest, AModelAtTheHubIsInspectedAsFarAsItIsKnown) {
  v1::Model& model = *script_.models.mutable_models(1);
  model.set_state("remote");
  model.set_stored_bytes(2'020'000'000);
  const ClientResult result = Run({"inspect", "bare"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("weights       2.02 GB\n"),
                                HasSubstr("state         at the hub, not downloaded")));
  EXPECT_EQ(json::parse(Run({"inspect", "bare", "--json"}).out)["state"], "remote");
}

TEST_F(ModelsTest, AModelAtTheHubMayLackTheSizeOfItsWeights) {
  script_.models.mutable_models(1)->set_state("remote");
  EXPECT_THAT(Run({"inspect", "bare"}).out, Not(HasSubstr("weights")));
}

TEST_F(ModelsTest, InspectTellsWhatIsKnownWithoutLoading) {
  const ClientResult result = Run({"inspect", "EleutherAI/pythia-410m-deduped@step143000"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  for (const char* line : {"revision      0123456789abcdef0123456789abcdef01234567", "layers        36",
                           "heads         20 of width 64, 8 for keys and values", "parameters    1.01B",
                           "weights       bfloat16, 2.02 GB", "tokenizer     byte-level BPE, 50277 tokens",
                           "words         ABAB 51 of 52 letters, NAMES 47 names",
                           "state         unloading, 4.04 GB on its devices, latest load took 3.2 s, in use "
                           "by 2, used 59 min ago"})
    EXPECT_THAT(result.out, HasSubstr(line));
  EXPECT_THAT(Run({"inspect", "bare"}).out,
              AllOf(HasSubstr("none: it has no tokenizer.json; token rows only (--tokens)"),
                    Not(HasSubstr("revision")), Not(HasSubstr("words"))));
  EXPECT_EQ(json::parse(Run({"inspect", "bare", "--json"}).out)["name"], "bare");
  EXPECT_THAT(server_->record().loads, IsEmpty());
  const ClientResult unknown = Run({"inspect", "bore"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.err, "induct-client: there is no model \"bore\" on the server\n");
}

TEST_F(ModelsTest, LoadTellsItsStepsAndPassesDtypeAndDevice) {
  const ClientResult result = Run({"models", "load", "bare", "--dtype", "bfloat16", "--device", "cpu"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "downloading model.safetensors 40 %\n");
  EXPECT_THAT(result.out, HasSubstr("bare is loaded"));
  const v1::LoadModelRequest request = server_->record().loads.at(0);
  EXPECT_EQ(request.name() + request.dtype() + request.device(), "barebfloat16cpu");
  const ClientResult quiet = Run({"models", "load", "bare", "--quiet", "--json"});
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(json::parse(quiet.out)["name"], "bare");
  EXPECT_FALSE(server_->record().loads.at(1).has_dtype() || server_->record().loads.at(1).has_device());
}

TEST_F(ModelsTest, ALoadThatFailsHasTheExitCodeOfItsCause) {
  using grpc::StatusCode;
  const std::vector<std::tuple<StatusCode, std::string, int>> cases = {
      {StatusCode::UNAVAILABLE, "HUB_UNREACHABLE", 7},
      {StatusCode::UNAVAILABLE, "HUB_UNAVAILABLE", 7},
      {StatusCode::UNAVAILABLE, "DRAINING", 5},
      {StatusCode::UNAVAILABLE, "", 3},
      {StatusCode::RESOURCE_EXHAUSTED, "TOO_MANY_LOADS", 5},
      {StatusCode::NOT_FOUND, "MODEL_NOT_FOUND", 2},
      {StatusCode::FAILED_PRECONDITION, "BAD_CHECKPOINT", 1}};
  for (const auto& [code, reason, exit_code] : cases) {
    script_.load_status = reason.empty() ? grpc::Status(code, "cut by the test")
                                         : ServerError(code, "said by the server", reason);
    server_.reset();
    const ClientResult result = Run({"models", "load", "bare"});
    EXPECT_EQ(result.exit_code, exit_code) << reason << result.err;
    EXPECT_THAT(result.err, HasSubstr(reason.empty() ? "cannot reach" : "said by the server"));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(ModelsTest, AnInterruptEndsTheLoad) {
  script_.load_waits = true;
  server_.emplace(script_);
  RunningClient client({"models", "load", "bare"}, folder_.path(), {{"INDUCT_SERVER", server_->address()}});
  server_->AwaitWaiting();
  client.Signal(SIGINT);
  const ClientResult result = client.Wait();
  EXPECT_EQ(result.exit_code, 130);
  EXPECT_THAT(result.err, HasSubstr("what was downloaded stays"));
  server_->AwaitCancelledLoad();
}

TEST_F(ModelsTest, UnloadSaysWhatItDidOrWhyNot) {
  EXPECT_EQ(Run({"models", "unload", "bare"}).out, "bare is unloaded\n");
  script_.unload_status = ServerError(grpc::StatusCode::FAILED_PRECONDITION, "1 job uses it", "MODEL_IN_USE");
  server_.reset();
  const ClientResult in_use = Run({"models", "unload", "bare"});
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_EQ(in_use.err, "induct-client: 1 job uses it\n");
}

TEST_F(ModelsTest, AMisspeltSubcommandIsToldWithTheNearest) {
  const ClientResult result = Run({"models", "lod", "bare"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("did you mean load?"));
  EXPECT_THAT(Run({"models", "load", "bare", "--dtyp", "float32"}).err, HasSubstr("did you mean --dtype?"));
}

}  // namespace
}  // namespace induct::client
