#include "server/service/specs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "common/status.h"
#include "proto/job_specs.h"
#include "server/service/job_kind.h"
#include "server/service/spec_settings.h"

namespace induct::service {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const SpecLimits kLimits = {
    .max_prompts = 1000, .dtypes = {DType::kFloat32, DType::kBFloat16}, .device = "cpu"};

v1::JobSpec ProfileOfM() {
  v1::JobSpec spec;
  spec.mutable_profile()->set_model("m");
  return spec;
}

std::string FieldAtFault(v1::JobSpec spec) {
  const absl::Status status = Resolve(Settings(), kLimits, &spec);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return FieldOf(status);
}

TEST(ResolveSettings, FillsInEverySettingFromTheServers) {
  Settings server;
  ASSERT_TRUE(server.SetText(*FindSettingKey("seed"), "18446744073709551615").ok());
  ASSERT_TRUE(server.SetText(*FindSettingKey("prompts.lag_values"), "5,6").ok());
  v1::JobSpec spec = ProfileOfM();
  ASSERT_TRUE(ResolveSettings(server, &spec).ok());
  const v1::ProfileSpec& request = spec.profile();
  EXPECT_EQ(request.run().seed(), 18446744073709551615u);
  EXPECT_THAT(request.prompts().lag_values(), ElementsAre(5, 6));
  // No field of the four parts that hold settings is left open: a field without a setting, or a setting
  // without a field, fails here.
  for (const google::protobuf::Message* part : std::initializer_list<const google::protobuf::Message*>{
           &request.run(), &request.prompts(), &request.evaluation(), &spec.options()}) {
    const auto* descriptor = part->GetDescriptor();
    for (int i = 0; i < descriptor->field_count(); ++i) {
      const auto* field = descriptor->field(i);
      if (field->name() == "request_id" || field->name() == "annotations") continue;
      const bool set = field->is_repeated() ? part->GetReflection()->FieldSize(*part, field) > 0
                                            : part->GetReflection()->HasField(*part, field);
      EXPECT_TRUE(set) << descriptor->name() << "." << field->name();
    }
  }
}

TEST(ResolveSettings, WhatTheSpecSetsWins) {
  v1::JobSpec spec = ProfileOfM();
  v1::ProfileSpec& request = *spec.mutable_profile();
  request.mutable_run()->set_seed(0);
  request.mutable_prompts()->add_lag_values(7);
  request.mutable_evaluation()->set_high_score_quantile(0.0);
  request.mutable_run()->set_memory_saver(true);
  ASSERT_TRUE(ResolveSettings(Settings(), &spec).ok());
  EXPECT_EQ(request.run().seed(), 0);
  EXPECT_THAT(request.prompts().lag_values(), ElementsAre(7));
  EXPECT_EQ(request.evaluation().high_score_quantile(), 0.0);
  EXPECT_TRUE(request.run().memory_saver());
}

TEST(ResolveSpec, FieldsOutOfRangeAreNamed) {
  const auto with = [](auto change) {
    v1::JobSpec spec = ProfileOfM();
    change(*spec.mutable_profile());
    return FieldAtFault(spec);
  };
  const auto with_options = [](auto change) {
    v1::JobSpec spec = ProfileOfM();
    change(*spec.mutable_options());
    return FieldAtFault(spec);
  };
  using R = v1::ProfileSpec&;
  using O = v1::JobOptions&;
  EXPECT_EQ(with([](R r) { r.clear_model(); }), "model");
  EXPECT_EQ(with([](R r) { r.mutable_evaluation()->set_high_score_quantile(1.0); }),
            "evaluation.high_score_quantile");
  EXPECT_EQ(with([](R r) { r.mutable_evaluation()->set_high_score_quantile(-0.5); }),
            "evaluation.high_score_quantile");
  EXPECT_EQ(with([](R r) { r.mutable_evaluation()->set_high_score_quantile(std::nan("")); }),
            "evaluation.high_score_quantile");
  EXPECT_EQ(with([](R r) { r.mutable_evaluation()->set_bootstrap_resamples(1); }),
            "evaluation.bootstrap_resamples");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->set_n_sequences(0); }), "prompts.n_sequences");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->set_n_sequences(100001); }), "prompts.n_sequences");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->set_n_sequences(1001); }),
            "prompts.n_sequences");  // this server's limit
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->add_lag_values(0); }), "prompts.lag_values");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->add_lag_values(129); }), "prompts.lag_values");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->add_task_types("ABBA"); }), "prompts.task_types");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->add_task_types("TOKENS"); }), "prompts.task_types");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->set_mix("even"); }), "prompts.mix");
  EXPECT_EQ(with([](R r) { r.mutable_prompts()->set_n_repeats(1); }), "prompts.n_repeats");
  EXPECT_EQ(with([](R r) { r.mutable_run()->set_score("copying"); }), "score");
  EXPECT_EQ(with([](R r) { r.mutable_run()->set_dtype("int8"); }), "dtype");
  EXPECT_EQ(with([](R r) { r.mutable_run()->set_dtype("float16"); }), "dtype");  // not allowed by this server
  EXPECT_EQ(with([](R r) { r.mutable_run()->set_seq_len(3); }), "seq_len");
  EXPECT_EQ(with_options([](O o) { o.set_on_disconnect("pause"); }), "job.on_disconnect");
  EXPECT_EQ(with_options([](O o) { o.set_queue_deadline(-1); }), "job.queue_deadline");
  EXPECT_EQ(with_options([](O o) { o.set_request_id(std::string(65, 'x')); }), "job.request_id");
  EXPECT_EQ(with_options([](O o) { (*o.mutable_annotations())[""] = "x"; }), "job.annotations");
  EXPECT_EQ(with_options([](O o) { (*o.mutable_annotations())[std::string(65, 'x')] = "x"; }),
            "job.annotations");
  EXPECT_EQ(with_options([](O o) { (*o.mutable_annotations())["x"] = std::string(16 << 10, 'x'); }),
            "job.annotations");
  EXPECT_EQ(with_options([](O o) {
              for (int i = 0; i < 33; ++i) (*o.mutable_annotations())[std::to_string(i)] = "x";
            }),
            "job.annotations");
  EXPECT_EQ(with([](R r) {
              r.add_given_prompts()->set_text("a");
              for (int i = 1; i <= 65; ++i) r.mutable_prompts()->add_lag_values(i);
            }),
            "prompts.lag_values");
  EXPECT_EQ(with([](R r) { r.add_given_prompts(); }), "given_prompts[0]");
  EXPECT_EQ(with([](R r) {
              for (int i = 0; i < 1001; ++i) r.add_given_prompts()->set_text("a");
            }),
            "given_prompts");
}

TEST(ResolveSpec, GivenPromptsReplaceTheTasks) {
  v1::JobSpec spec = ProfileOfM();
  v1::ProfileSpec& request = *spec.mutable_profile();
  request.add_given_prompts()->set_text("a b a b");
  request.add_given_prompts()->add_token_ids(1);
  ASSERT_TRUE(Resolve(Settings(), kLimits, &spec).ok());
  EXPECT_THAT(request.prompts().task_types(), ElementsAre("TEXT", "TOKENS"));
}

TEST(ResolveSpec, AutoDtypeFollowsTheDevice) {
  v1::JobSpec spec = ProfileOfM();
  ASSERT_TRUE(Resolve(Settings(), kLimits, &spec).ok());
  EXPECT_EQ(spec.profile().run().dtype(), "float32");
  SpecLimits gpu = kLimits;
  gpu.device = "cuda:0";
  gpu.dtypes.push_back(DType::kFloat16);
  v1::JobSpec on_gpu = ProfileOfM();
  ASSERT_TRUE(Resolve(Settings(), gpu, &on_gpu).ok());
  EXPECT_EQ(on_gpu.profile().run().dtype(), "float16");
}

TEST(ResolveSpec, AutoDtypeIsOneThatTheServerAllows) {
  SpecLimits limits = kLimits;
  limits.dtypes = {DType::kBFloat16};
  v1::JobSpec spec = ProfileOfM();
  ASSERT_TRUE(Resolve(Settings(), limits, &spec).ok());
  EXPECT_EQ(spec.profile().run().dtype(), "bfloat16");
}

// What is at fault in a spec of any kind, whose profile is good.
template <typename Change>
std::string FieldAtFaultOf(auto mutable_analysis, const Change& change) {
  v1::JobSpec spec;
  auto& analysis = *(spec.*mutable_analysis)();
  analysis.mutable_profile()->set_model("m");
  change(analysis);
  return FieldOf(Resolve(Settings(), kLimits, &spec));
}

TEST(ResolveSpec, ASpecWithoutAnAnalysisSpeaksOfAnotherContract) {
  v1::JobSpec spec;
  const absl::Status status = Resolve(Settings(), kLimits, &spec);
  EXPECT_EQ(FieldOf(status), "spec");
  EXPECT_THAT(std::string(status.message()), HasSubstr("the same version"));
}

TEST(JobKinds, AreThoseOfTheContract) {
  std::vector<std::string> names;
  for (const JobKind* kind : JobKinds()) names.emplace_back(kind->name);
  EXPECT_EQ(names, JobKindNames());
  EXPECT_EQ(FindKind("nothing"), nullptr);
}

TEST(ResolveSpec, EveryKindChecksItsProfile) {
  const auto bad = [](auto& request) { request.mutable_profile()->mutable_run()->set_score("x"); };
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_nulls, bad), "score");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal, bad), "score");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_lag_buckets, bad), "score");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_pattern, bad), "score");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_cross_size,
                           [&](auto& request) {
                             request.mutable_profile()->clear_model();
                             request.add_models("a");
                             request.add_models("b");
                             bad(request);
                           }),
            "score");
}

TEST(ResolveSpec, AComparisonTakesSeveralModelsNoneTwice) {
  const auto with = [](const std::vector<std::string>& models) {
    return FieldAtFaultOf(&v1::JobSpec::mutable_cross_size, [&](v1::CrossSizeSpec& request) {
      request.mutable_profile()->clear_model();
      request.mutable_models()->Assign(models.begin(), models.end());
    });
  };
  EXPECT_EQ(with({"a", "b"}), "");
  for (const std::vector<std::string>& models :
       {std::vector<std::string>{}, {"a"}, {"a", "b", "a"}, {"a", ""}, std::vector<std::string>(65, "a")}) {
    EXPECT_EQ(with(models), "models");
  }
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_cross_size,
                           [](v1::CrossSizeSpec& request) {
                             request.add_models("a");
                             request.add_models("b");
                           }),
            "profile.model");
}

TEST(ResolveSpec, FieldsOfTheOtherKindsAreChecked) {
  using C = v1::CausalSpec&;
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal, [](C) {}), "");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal,
                           [](C r) {
                             r.add_heads()->set_layer(1);
                             r.add_heads()->set_layer(1);
                           }),
            "heads");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal,
                           [](C r) {
                             for (uint32_t i = 0; i <= 4096; ++i) r.add_heads()->set_layer(i);
                           }),
            "heads");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal, [](C r) { r.add_control_prompts(); }),
            "control_prompts[0]");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal,
                           [](C r) {  // 400 prompts and these are more than 1000
                             for (int i = 0; i < 601; ++i) r.add_control_prompts()->set_text("a");
                           }),
            "control_prompts");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_causal,
                           [](C r) { r.mutable_profile()->mutable_evaluation()->set_causal_top_k(0); }),
            "evaluation.causal_top_k");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_lag_buckets,
                           [](auto& r) { r.mutable_profile()->mutable_run()->set_score("previous"); }),
            "score");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_lag_buckets,
                           [](auto& r) {
                             r.mutable_profile()->mutable_evaluation()->add_lag_edges(8);
                             r.mutable_profile()->mutable_evaluation()->add_lag_edges(4);
                           }),
            "evaluation.lag_edges");
  EXPECT_EQ(FieldAtFaultOf(&v1::JobSpec::mutable_pattern, [](auto&) {}), "head");
}

TEST(FromMessage, EverySettingReachesTheRun) {
  v1::JobSpec spec = ProfileOfM();
  v1::ProfileSpec& request = *spec.mutable_profile();
  request.mutable_run()->set_seed(9);
  request.mutable_run()->set_seq_len(64);
  request.mutable_run()->set_batch_size(3);
  request.mutable_run()->set_memory_saver(true);
  request.mutable_run()->set_dtype("bfloat16");
  request.mutable_run()->set_score("previous");
  request.mutable_run()->set_antecedents("all");
  request.mutable_run()->set_min_lag(5);
  request.mutable_run()->set_aggregation("mean");
  request.mutable_prompts()->set_n_sequences(11);
  request.mutable_prompts()->add_lag_values(6);
  request.mutable_prompts()->set_mix("uniform");
  request.mutable_prompts()->add_task_types("RANDOM");
  request.mutable_prompts()->set_n_repeats(4);
  request.mutable_prompts()->set_prepend_bos(false);
  request.mutable_evaluation()->set_high_score_quantile(0.5);
  request.mutable_evaluation()->set_bootstrap_resamples(21);
  ASSERT_TRUE(Resolve(Settings(), kLimits, &spec).ok());
  const runs::RunRequest run = FromMessage(spec, kLimits);
  EXPECT_THAT(run.models, ElementsAre("m"));
  EXPECT_EQ(run.dtype, DType::kBFloat16);
  EXPECT_TRUE(run.memory_saver);
  EXPECT_EQ(run.prompts.seed, 9);
  EXPECT_EQ(run.options.seed, 9);
  EXPECT_EQ(run.prompts.seq_len, 64);
  EXPECT_EQ(run.options.batch_size, 3);
  EXPECT_EQ(run.options.score, analysis::ScoreKind::kPrevious);
  EXPECT_EQ(run.options.antecedents, analysis::Antecedents::kAll);
  EXPECT_EQ(run.options.min_lag, 5);
  EXPECT_EQ(run.prompts.min_lag, 5);
  EXPECT_EQ(run.options.aggregation, analysis::Aggregation::kMean);
  EXPECT_EQ(run.prompts.n_sequences, 11);
  EXPECT_THAT(run.prompts.lag_values, ElementsAre(6));
  EXPECT_TRUE(run.prompts.uniform_mix);
  EXPECT_THAT(run.prompts.task_types, ElementsAre("RANDOM"));
  EXPECT_EQ(run.prompts.n_repeats, 4);
  EXPECT_FALSE(run.prompts.prepend_bos);
  EXPECT_EQ(run.options.high_score_quantile, 0.5);
  EXPECT_EQ(run.options.bootstrap_resamples, 21);
  EXPECT_EQ(run.options.activation_budget, kLimits.activation_budget);
}

}  // namespace
}  // namespace induct::service
