#include "tests/client/example_runs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/kinds/profile.h"
#include "common/file_names.h"
#include "proto/message_json.h"
#include "tests/client/fake_server.h"

namespace induct::client {
namespace {

v1::HeadMatrix Matrix(const SavedModel& model, double factor, double shift) {
  v1::HeadMatrix matrix;
  matrix.set_n_layers(model.use.n_layers());
  matrix.set_n_heads(model.use.n_heads());
  for (const float score : ScoresOf(model)->values) matrix.add_values(factor * score + shift);
  return matrix;
}

v1::AntecedentNull ExampleAntecedentNull(const SavedModel& model, double null_mean) {
  v1::AntecedentNull null;
  null.set_n_copy_ops(12000);
  null.set_n_dropped(345);
  null.set_n_prompts(400);
  *null.mutable_observed() = Matrix(model, 1, 0);
  *null.mutable_null_mean() = Matrix(model, 0, null_mean);
  *null.mutable_effect() = Matrix(model, 1, -null_mean);
  *null.mutable_p_adjusted() = Matrix(model, 0, 0.7);
  for (int i = 0; i < null.p_adjusted().values_size(); ++i) {
    if (null.observed().values(i) > 0.4) null.mutable_p_adjusted()->set_values(i, 0.001);
  }
  for (const double value : model.Get<v1::Profile>()->per_layer()) {
    null.mutable_layers()->add_observed(value);
    null.mutable_layers()->add_null_mean(null_mean);
    null.mutable_layers()->add_effect(value - null_mean);
  }
  return null;
}

void SetEstimate(double value, double half_width, v1::IntervalEstimate* estimate) {
  estimate->set_value(value);
  estimate->set_ci_low(value - half_width);
  estimate->set_ci_high(value + half_width);
}

v1::AblationArm ExampleArm(double accuracy_lost) {
  v1::AblationArm arm;
  arm.mutable_metrics()->set_copy_accuracy(0.9 - accuracy_lost);
  arm.mutable_metrics()->set_copy_nll(0.4 + 5 * accuracy_lost);
  arm.mutable_metrics()->set_other_nll(3.2 + 0.1 * accuracy_lost);
  SetEstimate(-accuracy_lost, 0.04, arm.mutable_delta()->mutable_copy_accuracy());
  SetEstimate(5 * accuracy_lost, 0.2, arm.mutable_delta()->mutable_copy_nll());
  SetEstimate(0.1 * accuracy_lost, 0.01, arm.mutable_delta()->mutable_other_nll());
  return arm;
}

v1::ControlArm ExampleControl(int draws, double accuracy_lost) {
  v1::ControlArm control;
  double mean = 0;
  for (int draw = 0; draw < draws; ++draw) {
    const double lost = accuracy_lost * (1 + std::sin(2.0 * draw));
    mean += lost / draws;
    *control.add_draws() = ExampleArm(lost);
  }
  control.mutable_delta_mean()->set_copy_accuracy(-mean);
  control.mutable_delta_mean()->set_copy_nll(5 * mean);
  control.mutable_delta_mean()->set_other_nll(0.1 * mean);
  control.set_p_copy_nll(1.0 / (1 + draws));
  control.set_p_copy_accuracy(2.0 / (1 + draws));
  control.set_smallest_p(1.0 / (1 + draws));
  return control;
}

void WriteJson(const std::string& path, const google::protobuf::Message& message) {
  const auto json = ToJson(message);
  ASSERT_TRUE(json.ok()) << json.status();
  WriteBytes(path, *json);
}

void WriteResults(const AnalysisKind& kind, const std::string& model, ModelSize size,
                  const SavedResults& results, const std::string& folder) {
  const google::protobuf::Message* result = results.Find(*kind.result.prototype->GetDescriptor());
  if (result == nullptr) return;
  const auto in_folder = [&](const std::string& file) { return absl::StrCat(folder, "/", file); };
  WriteJson(in_folder(kind.result.name(model)), *result);
  if (kind.result.arrays == nullptr) return;
  for (const ArrayFile& file : kind.result.arrays(*result, model, size)) {
    const FloatArray* array = results.Array(file.name);
    if (array != nullptr) WriteBytes(in_folder(file.name), NpyBytes(array->values, array->shape));
  }
}

}  // namespace

void PutValues(const std::string& file, std::vector<float> values, SavedModel* model) {
  FloatArray array = *model->results.Array(file);
  array.values = std::move(values);
  model->results.PutArray(file, std::move(array));
}

void RemoveArrays(SavedModel* model) {
  SavedResults messages;
  for (const auto& message : model->results.messages()) messages.PutShared(message);
  model->results = std::move(messages);
}

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

void WriteBytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

SavedModel ExampleModel(const std::string& label, int n_layers, int n_heads, bool bootstrap) {
  SavedModel model{.label = label};
  model.use.set_name(ModelFileName(label));
  model.use.set_source(label);
  model.use.set_n_layers(static_cast<uint32_t>(n_layers));
  model.use.set_n_heads(static_cast<uint32_t>(n_heads));
  model.use.set_n_parameters(1e6 * n_layers * n_heads * n_heads);
  const v1::Profile profile = MakeProfile(model.use.name(), n_layers, n_heads, bootstrap);
  model.results.PutArray(ScoresFile(model.use.name()), *ParseFloatNpy(MakeScores(profile)));
  model.results.Put(profile);
  return model;
}

v1::Nulls ExampleNulls(const SavedModel& model) {
  v1::Nulls nulls;
  nulls.set_model(model.use.name());
  nulls.set_score("induction");
  nulls.set_antecedents("first");
  nulls.set_min_lag(3);
  nulls.set_aggregation("topq");
  nulls.set_high_score_quantile(0.9);
  nulls.mutable_shuffled_antecedent()->set_resamples(999);
  *nulls.mutable_shuffled_antecedent()->mutable_uniform() = ExampleAntecedentNull(model, 0.03);
  *nulls.mutable_shuffled_antecedent()->mutable_lag_matched() = ExampleAntecedentNull(model, 0.06);
  v1::AntecedentNull* same_distance = nulls.mutable_shuffled_antecedent()->mutable_same_distance();
  *same_distance = ExampleAntecedentNull(model, 0.1);
  same_distance->clear_p_adjusted();
  same_distance->mutable_layers()->clear_p_adjusted();
  v1::HeadPermutation* heads = nulls.mutable_head_permutation();
  heads->set_resamples(10000);
  heads->set_threshold(0.41);
  for (const double value : model.Get<v1::Profile>()->per_layer()) {
    heads->add_observed_density(0.6 * value);
    heads->add_null_mean(0.1);
    heads->add_band_low(0);
    heads->add_band_high(0.25);
    heads->add_p_adjusted(value > 0.6 ? 0.002 : 1);
  }
  heads->set_max_quantile(0.375);
  heads->mutable_depth_spread()->set_observed(0.08);
  heads->mutable_depth_spread()->set_null_mean(0.27);
  heads->mutable_depth_spread()->set_p(0.0001);
  return nulls;
}

v1::Causal ExampleCausal(const SavedModel& model) {
  v1::Causal causal;
  causal.set_model(model.use.name());
  causal.set_resamples(1000);
  causal.set_score("induction");
  causal.set_antecedents("first");
  causal.set_min_lag(3);
  causal.set_ablation("zero");
  for (uint32_t prompt = 0; prompt < 40; ++prompt)
    prompt % 2 == 0 ? causal.add_selection_prompts(prompt) : causal.add_evaluation_prompts(prompt);
  *causal.mutable_selection_scores() = Matrix(model, 1, 0);
  causal.set_chosen_by("rank");
  for (uint32_t layer = 0; layer < std::min(3u, model.use.n_layers()); ++layer)
    causal.add_top_heads()->set_layer(layer);
  *causal.mutable_baseline() = ExampleArm(0);
  causal.mutable_baseline()->clear_delta();
  *causal.mutable_top_k() = ExampleArm(0.45);
  *causal.mutable_random_k() = ExampleControl(20, 0.03);
  *causal.mutable_matched_k() = ExampleControl(6, 0.08);
  auto others = causal.top_heads();
  for (v1::HeadRef& head : others) head.set_head(model.use.n_heads() - 1);
  for (v1::ControlArm* control : {causal.mutable_random_k(), causal.mutable_matched_k()}) {
    for (v1::AblationArm& draw : *control->mutable_draws()) *draw.mutable_heads() = others;
  }
  causal.mutable_check()->set_delta_top(-0.45);
  causal.mutable_check()->set_delta_rand(causal.random_k().delta_mean().copy_accuracy());
  causal.mutable_check()->set_delta_top_below_delta_rand(true);
  return causal;
}

v1::LagBuckets ExampleLagBuckets(const SavedModel& model) {
  v1::LagBuckets lags;
  lags.set_model(model.use.name());
  lags.set_score("induction");
  lags.set_antecedents("first");
  lags.set_min_lag(3);
  lags.set_aggregation("topq");
  lags.set_high_score_quantile(0.9);
  for (const auto& [low, high, n] : {std::tuple{3u, 8u, 5000u}, {9u, 32u, 0u}, {33u, 0u, 7345u}}) {
    v1::LagBucket* bucket = lags.add_buckets();
    bucket->set_min_lag(low);
    bucket->set_max_lag(high);
    bucket->set_n_copy_ops(n);
    if (n == 0) continue;
    const double factor = high == 0 ? 0.7 : 1;
    *bucket->mutable_per_layer() = model.Get<v1::Profile>()->per_layer();
    for (double& value : *bucket->mutable_per_layer()) value *= factor;
    *bucket->mutable_scores() = Matrix(model, factor, 0);
    bucket->set_peak_depth(model.Get<v1::Profile>()->peak_depth());
    bucket->set_centroid_rel(high == 0 ? 0.55 : 0.49);
    if (!model.Get<v1::Profile>()->has_bootstrap()) continue;
    *bucket->mutable_bootstrap() = model.Get<v1::Profile>()->bootstrap();
    for (double& value : *bucket->mutable_bootstrap()->mutable_per_layer()->mutable_ci_low()) value *= factor;
    for (double& value : *bucket->mutable_bootstrap()->mutable_per_layer()->mutable_ci_high())
      value *= factor;
  }
  SetEstimate(0.06, 0.02, lags.mutable_centroid_difference());
  return lags;
}

void AddExamplePattern(int n_tokens, SavedModel* model) {
  const std::vector<std::string> words = {" the",  " Mary", "'s",    "\n",    " naïve",
                                          " 東京", "",      "\"q\"", " `ls`", " $HOME"};
  v1::AttentionPattern pattern;
  pattern.set_model(model->use.name());
  pattern.mutable_head()->set_layer(1);
  pattern.set_prompt(7);
  pattern.set_file(PatternArrayFile(model->use.name()));
  const int half = n_tokens / 2;
  FloatArray attention{.shape = {n_tokens, n_tokens}};
  for (int query = 0; query < n_tokens; ++query) {
    const int id = query % half;
    pattern.add_token_ids(static_cast<uint32_t>(1000 + id));
    pattern.add_tokens(words[static_cast<size_t>(id) % words.size()]);
    const int target = query - half + 1;
    if (query >= half) {
      pattern.add_targets()->set_query(static_cast<uint32_t>(query));
      pattern.mutable_targets()->rbegin()->set_key(static_cast<uint32_t>(target));
    }
    for (int key = 0; key < n_tokens; ++key) {
      const double rest = key <= query ? 0.4 / (query + 1) : 0;
      attention.values.push_back(static_cast<float>(rest + (query >= half && key == target ? 0.6 : 0)));
    }
  }
  model->results.Put(pattern);
  model->results.PutArray(PatternArrayFile(model->use.name()), attention);
}

void AddExampleTargets(SavedModel* saved) {
  const SavedModel& model = *saved;
  v1::Targets targets;
  targets.set_model(model.use.name());
  targets.set_aggregation("topq");
  targets.set_high_score_quantile(0.9);
  targets.set_n_layers(model.use.n_layers());
  targets.set_n_heads(model.use.n_heads());
  targets.set_n_heads_kept(1);
  targets.set_resamples(1000);
  targets.set_null_resamples(999);
  for (const auto& [name, factor] : {std::pair{"mine", 1.0}, {"sink", 0.0}}) {
    v1::TargetGroup* group = targets.add_groups();
    const double shift = 0.5 * (1 - factor);
    group->set_name(name);
    group->set_file(absl::StrCat("targets_", model.use.name(), "_", name, ".npy"));
    group->set_n_operations(1200);
    group->set_n_prompts(400);
    group->set_weight(factor == 1 ? 1200 : 60.5);
    *group->mutable_scores() = Matrix(model, factor, shift);
    *group->mutable_heads()->mutable_ci_low() = Matrix(model, factor, shift - 0.02);
    *group->mutable_heads()->mutable_ci_high() = Matrix(model, factor, shift + 0.02);
    for (const double value : model.Get<v1::Profile>()->per_layer()) {
      group->add_per_layer(factor * value + shift);
      group->mutable_band()->add_ci_low(factor * value + shift - 0.02);
      group->mutable_band()->add_ci_high(factor * value + shift + 0.02);
    }
  }
  targets.add_groups()->set_name("token: x");
  v1::TargetContrast* contrast = targets.add_contrasts();
  contrast->set_group_a("mine");
  contrast->set_group_b("sink");
  *contrast->mutable_difference() = Matrix(model, 1, -0.5);
  *contrast->mutable_heads()->mutable_ci_low() = Matrix(model, 1, -0.53);
  *contrast->mutable_heads()->mutable_ci_high() = Matrix(model, 1, -0.47);
  contrast->set_n_prompts(390);
  *contrast->mutable_prompt_effect() = Matrix(model, 1, -0.48);
  *contrast->mutable_p_adjusted() = Matrix(model, 0, 0.7);
  for (int i = 0; i < contrast->difference().values_size(); ++i) {
    if (contrast->difference().values(i) > -0.1) contrast->mutable_p_adjusted()->set_values(i, 0.001);
  }
  contrast = targets.add_contrasts();
  contrast->set_group_a("mine");
  contrast->set_group_b("token: x");
  for (const v1::TargetGroup& group : targets.groups()) {
    if (group.n_operations() == 0) continue;
    const auto& values = group.scores().values();
    saved->results.PutArray(group.file(), {.shape = {targets.n_layers(), targets.n_heads()},
                                           .values = {values.begin(), values.end()}});
  }
  saved->results.Put(std::move(targets));
}

SavedRun ExampleRun(const std::string& command, std::vector<SavedModel> models) {
  SavedRun run{.config = "seed: 0\n", .models = std::move(models)};
  run.metadata.set_state("succeeded");
  run.metadata.set_command(command);
  run.metadata.set_created("2026-01-02T03:04:05Z");
  run.metadata.set_format(kRunFormat);
  run.metadata.mutable_seconds()->set_preparing(0.5);
  run.metadata.mutable_seconds()->set_running(1.75);
  for (const SavedModel& model : run.models) {
    *run.metadata.add_models() = model.use;
    run.metadata.add_labels(model.label);
  }
  if (run.models.size() > 1) {
    v1::CrossSize cross_size;
    for (const SavedModel& model : run.models) cross_size.add_models(model.use.name());
    run.results.Put(std::move(cross_size));
  }
  return run;
}

void WriteRun(const SavedRun& run, const std::string& folder) {
  std::filesystem::create_directories(folder);
  WriteJson(absl::StrCat(folder, "/", kMetadataFile), run.metadata);
  WriteBytes(absl::StrCat(folder, "/", kConfigFile), run.config);
  for (const AnalysisKind& kind : AnalysisKinds()) {
    if (kind.compares_models) WriteResults(kind, "", {}, run.results, folder);
    for (const SavedModel& model : run.models) {
      if (!kind.compares_models)
        WriteResults(kind, model.use.name(), {model.use.n_layers(), model.use.n_heads()}, model.results,
                     folder);
    }
  }
}

}  // namespace induct::client
