"""Every analysis from the command to the files, as a researcher runs it."""
import json
import shlex
import shutil
import unittest

from harness import DEMO_MODELS, ProgramTest, read_npy
from tiny_model import write_tiny_model

FORTY = ["--n_sequences", "40"]
SMALL = [*FORTY, "--bootstrap_resamples", "50"]
ONE = ["--model", "demo-small", *SMALL]


class Analyses(ProgramTest):
    def only(self, pattern):
        found = list((self.dir / "outputs" / "runs").glob(pattern))
        self.assertEqual(len(found), 1, found)
        return found[0]

    def figures(self, run):
        return {p.name for p in (run / "figs").glob("*.png")}

    def repeating(self, run):
        """The arguments that the run's config.yaml says repeat it."""
        line = (run / "config.yaml").read_text().splitlines()[0]
        return shlex.split(line.split("induct-client ")[1].replace("RUN/", f"{run}/"))

    def test_crosssize_compares_two_models_on_the_same_texts(self):
        out = self.client("crosssize", "--models", "demo-small", "demo-large", *SMALL, "--labels", "small <one>", "the 'large'").stdout
        run = self.only("*-crosssize-demo-small+1")
        names = {p.name for p in run.iterdir()}
        for model in ("demo-small", "demo-large"):
            self.assertLessEqual({f"profile_{model}.json", f"scores_{model}.npy", f"prompts_{model}.jsonl", f"prompt_scores_{model}.npy"}, names)
        self.assertLessEqual({"cross_size.json", "report.html", "report.md", "metadata.json", "config.yaml", "prompts.txt"}, names)
        texts = [[json.loads(line)["text"] for line in (run / f"prompts_{m}.jsonl").read_text().splitlines()] for m in ("demo-small", "demo-large")]
        self.assertEqual(*texts)
        pair, = self.json(run / "cross_size.json")["pairs"]
        a, b = (self.json(run / f"profile_{m}.json") for m in ("demo-small", "demo-large"))
        self.assertEqual((pair["model_a"], pair["model_b"]), ("demo-small", "demo-large"))
        for key in ("peak_depth", "centroid_rel", "bandwidth_interpolated"):
            self.assertAlmostEqual(pair[key]["difference"], b[key] - a[key], places=9)
            self.assertLessEqual(pair[key]["ci_low"], pair[key]["ci90_low"])
            self.assertLessEqual(pair[key]["ci90_high"], pair[key]["ci_high"])
        self.assertIn("cross_size_overlay.png", self.figures(run))
        self.assertTrue((self.dir / "figs" / "cross_size_overlay.png").exists())
        self.assertEqual(self.json(run / "metadata.json")["labels"], ["small <one>", "the 'large'"])
        self.assertIn("the 'large' - small <one>:", out)
        self.assertIn("one layer of small <one>", out)
        self.client(*self.repeating(run), "--output_dir", "again", "--no_report")
        again = next((self.dir / "again" / "runs").iterdir())
        for name in ("cross_size.json", "config.yaml"):
            self.assertEqual((again / name).read_bytes(), (run / name).read_bytes())
        self.assert_no_broken_files(self.dir)

    def test_multisize_tabulates_peaks_against_parameters(self):
        shutil.copytree(DEMO_MODELS, self.dir / "models")
        write_tiny_model(self.dir / "models" / "tiny", seed=1)
        self.env["INDUCT_MODEL_DIRS"] = str(self.dir / "models")
        out = self.client("multisize", "--models", "tiny", "demo-small", "demo-large", "--task_types", "ABAB", *SMALL).stdout
        run = self.only("*-multisize-tiny+2")
        self.assertEqual(len(self.json(run / "cross_size.json")["pairs"]), 3)
        self.assertIn("peak_depth_parameters.png", self.figures(run))
        for word in ("PARAMETERS", "tiny", "demo-large", "CENTROID"):
            self.assertIn(word, out)

    def test_one_name_written_in_two_ways_makes_two_file_names(self):
        for name in ("a b", "a_b"):
            shutil.copytree(DEMO_MODELS / "demo-small", self.dir / "models" / name)
        self.env["INDUCT_MODEL_DIRS"] = str(self.dir / "models")
        self.client("crosssize", "--models", "a b", "a_b", *SMALL, "--no_report")
        run = self.only("*-crosssize-a_b+1")
        self.assertEqual(self.json(run / "cross_size.json")["models"], ["a_b", "a_b-2"])
        self.assertEqual(read_npy(run / "scores_a_b.npy"), read_npy(run / "scores_a_b-2.npy"))
        self.assertFalse((run / "report.html").exists())

    def test_nulls_leaves_the_profile_and_its_nulls(self):
        self.client("nulls", *ONE, "--null_resamples", "99", "--permutation_resamples", "500")
        run = self.only("*-nulls-demo-small")
        nulls, profile = self.json(run / "nulls_demo-small.json"), self.json(run / "profile_demo-small.json")
        uniform, matched = (nulls["shuffled_antecedent"][k] for k in ("uniform", "lag_matched"))
        self.assertEqual(nulls["shuffled_antecedent"]["resamples"], 99)
        self.assertEqual(uniform["n_copy_ops"] + uniform["n_dropped"], profile["n_copy_ops"])
        scores = read_npy(run / "scores_demo-small.npy")[2]
        best = max(range(len(scores)), key=lambda i: scores[i])
        self.assertLess(matched["p_adjusted"]["values"][best], 0.05)
        distance = nulls["shuffled_antecedent"]["same_distance"]
        self.assertGreater(distance["effect_ci_low"]["values"][best], 0)
        self.assertIsNone(distance.get("p_adjusted"))
        self.assertEqual(nulls["head_permutation"]["resamples"], 500)
        self.assertLessEqual({"nulls_demo-small.png", "nulls_heatmap_demo-small.png", "heatmap_demo-small.png"}, self.figures(run))
        # The profile is what the command `profile` measures.
        self.client("profile", *ONE, "--no_report")
        alone = self.only("*-profile-demo-small")
        self.assert_close(profile, self.json(alone / "profile_demo-small.json"), "profile")

    def test_nulls_that_were_not_asked_for_are_absent(self):
        out = self.client("nulls", *ONE, "--shuffle_null", "false", "--head_permutation_null", "false", "--no_report").stdout
        self.assertIn("none asked for", out)
        nulls = self.json(self.only("*-nulls-*") / "nulls_demo-small.json")
        self.assertIsNone(nulls.get("shuffled_antecedent"))
        self.assertIsNone(nulls.get("head_permutation"))

    def test_one_lag_only_has_no_lag_matched_null_and_says_why(self):
        self.client("nulls", *ONE, "--lag_values", "8", "--no_report")
        nulls = self.json(self.only("*-nulls-*") / "nulls_demo-small.json")
        self.assertEqual(nulls["shuffled_antecedent"]["lag_matched"]["n_copy_ops"], 0)
        self.assertRegex(nulls["shuffled_antecedent"]["lag_matched"]["reason"], "lag")
        self.assertGreater(nulls["shuffled_antecedent"]["uniform"]["n_copy_ops"], 0)

    def test_causal_on_the_demo_model_beats_every_random_draw(self):
        self.client("causal", "--model", "demo-small", "--task_types", "RANDOM")
        run = self.only("*-causal-demo-small")
        causal = self.json(run / "causal_demo-small.json")
        top = causal["top_k"]["delta"]["copy_accuracy"]["value"]
        draws = causal["random_k"]["draws"]
        self.assertEqual(len(draws), 20)
        self.assertTrue(all(top < draw["delta"]["copy_accuracy"]["value"] for draw in draws))
        self.assertTrue(causal["check"]["delta_top_below_delta_rand"])
        self.assertAlmostEqual(causal["random_k"]["p_copy_accuracy"], 1 / 21)
        prompts = causal["selection_prompts"] + causal["evaluation_prompts"]
        self.assertEqual(sorted(prompts), list(range(400)))
        self.assertIn("causal_delta_demo-small.png", self.figures(run))
        common = self.dir / "figs"
        self.assertEqual((common / "causal_delta.png").read_bytes(), (common / "causal_delta_demo-small.png").read_bytes())

    def test_causal_with_the_users_heads_and_control_prompts(self):
        (self.dir / "c.txt").write_text("The house by the river was old.\nNobody knew who had built it.\n")
        self.client("causal", *ONE, "--heads", "1.2,0.3", "--draws", "5", "--ablation", "mean", "--control_prompts", "c.txt")
        run = self.only("*-causal-*")
        causal = self.json(run / "causal_demo-small.json")
        self.assertEqual(causal["chosen_by"], "user")
        self.assertEqual(causal["top_heads"], [{"layer": 1, "head": 2}, {"layer": 0, "head": 3}])
        self.assertEqual((causal["ablation"], len(causal["random_k"]["draws"])), ("mean", 5))
        self.assertEqual({len(draw["heads"]) for draw in causal["random_k"]["draws"]}, {2})
        self.assertIn("p_copy_nll", causal["random_k"])
        self.assertIn("control_nll", causal["top_k"]["delta"])
        self.assertEqual(len((run / "control_prompts_demo-small.jsonl").read_text().splitlines()), 2)
        # And it is repeated by what the run's settings say.
        self.client(*self.repeating(run), "--output_dir", "again", "--no_report")
        again = next((self.dir / "again" / "runs").iterdir())
        self.assertEqual((again / "causal_demo-small.json").read_bytes(), (run / "causal_demo-small.json").read_bytes())

    def test_nothing_is_found_in_a_random_model_and_the_report_says_so(self):
        self.env["INDUCT_MODEL_DIRS"] = str(self.dir / "models")
        quiet = 0
        for seed in range(10):
            write_tiny_model(self.dir / "models" / f"random{seed}", seed=seed)
            self.client("causal", "--model", f"random{seed}", "--task_types", "RANDOM", "--lag_values", "20,30", "--n_sequences", "24", "--topk", "2",
                        "--randomk", "2", "--draws", "39", "--bootstrap_resamples", "50")
            run = self.only(f"*-causal-random{seed}")
            causal = self.json(run / f"causal_random{seed}.json")
            quiet += causal["random_k"]["p_copy_nll"] > 0.05
            if causal["random_k"]["p_copy_nll"] > 0.05:
                self.assertIn("othing was found", (run / "report.md").read_text())
        self.assertGreaterEqual(quiet, 8)

    def test_lagbuckets_has_a_profile_for_each_range(self):
        self.client("lagbuckets", *ONE, "--edges", "8,16,100")
        run = self.only("*-lagbuckets-demo-small")
        lags = self.json(run / "lag_buckets_demo-small.json")
        self.assertEqual([(b["min_lag"], b["max_lag"]) for b in lags["buckets"]], [(1, 8), (9, 16), (17, 100), (101, 0)])
        self.assertEqual(lags["buckets"][3]["n_copy_ops"], 0)
        self.assertEqual(lags["buckets"][3]["per_layer"], [])
        self.assertIsNone(lags.get("centroid_difference"))
        self.assertIn("lag_overlay_demo-small.png", self.figures(run))

    def test_pattern_shows_one_head_on_one_prompt(self):
        self.client("pattern", "--model", "demo-small", *FORTY, "--head", "1.2", "--prompt", "3")
        run = self.only("*-pattern-demo-small")
        pattern = self.json(run / "pattern_demo-small.json")
        _, shape, values = read_npy(run / "pattern_demo-small.npy")
        n = len(pattern["token_ids"])
        self.assertEqual(shape, (n, n))
        self.assertEqual(len(pattern["tokens"]), n)
        prompt = json.loads((run / "prompts_demo-small.jsonl").read_text().splitlines()[3])
        self.assertEqual(pattern["token_ids"], prompt["token_ids"])
        for row in range(n):
            self.assertAlmostEqual(sum(values[row * n:(row + 1) * n]), 1, places=4)
            self.assertTrue(all(x == 0 for x in values[row * n + row + 1:(row + 1) * n]))
        self.assertIn("pattern_demo-small_1.2_prompt3.png", self.figures(run))
        # What the score reads is where it says.
        scores = read_npy(run / "pattern_demo-small.npy")[2]
        mean = sum(scores[t["query"] * n + t["key"]] for t in pattern["targets"]) / len(pattern["targets"])
        self.client("profile", *ONE, "--no_report")
        dtype, (_, layers, heads), each = read_npy(self.only("*-profile-*") / "prompt_scores_demo-small.npy")
        self.assertAlmostEqual(mean, each[(3 * layers + 1) * heads + 2], places=5)

    def test_a_plan_runs_all_and_a_second_run_finds_it_done(self):
        (self.dir / "plan.yaml").write_text("models: [{id: demo-small}, {id: demo-large}]\nseed: 5\nprompts:\n  n_sequences: 24\n"
                                            "evaluation:\n  bootstrap_resamples: 50\n  random_draws: 4\n  null_resamples: 49\n  permutation_resamples: 100\n")
        self.client("run", "--plan", "plan.yaml")
        commands = sorted(self.json(run / "metadata.json")["command"] for run in self.runs())
        self.assertEqual(commands, sorted(["profile", "nulls", "causal", "lagbuckets"] * 2 + ["crosssize"]))
        report = (self.dir / "outputs" / "report_plan.md").read_text()
        self.assertIn("demo-large", report)
        self.assertTrue((self.dir / "outputs" / "report_plan.html").exists())
        again = self.client("run", "--plan", "plan.yaml")
        self.assertEqual(len(self.runs()), 9)
        self.assertEqual(again.stdout.count("done before"), 9)
        # A damaged run is not done; what failed is told and the rest runs.
        damaged = self.only("*-nulls-demo-small")
        (damaged / "nulls_demo-small.json").write_text("{")
        third = self.client("run", "--plan", "plan.yaml")
        self.assertEqual(third.stdout.count("done before"), 8)
        self.assertEqual(len(self.runs()), 10)

    def test_a_plan_goes_on_after_an_analysis_that_fails(self):
        (self.dir / "plan.yaml").write_text("models: [demo-small, missing]\nprompts:\n  n_sequences: 8\nevaluation:\n  bootstrap_resamples: 0\n"
                                            "  random_draws: 2\n  null_resamples: 19\n  permutation_resamples: 19\n")
        result = self.client("run", "--plan", "plan.yaml", "--no_report", check=1)
        self.assertIn("5 of 9 analyses failed", result.stderr)
        self.assertIn("missing", result.stdout)
        self.assertEqual(len(self.runs()), 4)


class Repeatability(ProgramTest):
    COMMANDS = {"profile": [*ONE], "nulls": [*ONE, "--null_resamples", "99", "--permutation_resamples", "500"], "lagbuckets": [*ONE, "--edges", "8,16"],
                "causal": [*ONE, "--draws", "5", "--ablation", "mean"], "crosssize": ["--models", "demo-small", "demo-large", *SMALL],
                "pattern": ["--model", "demo-small", *FORTY, "--head", "2.5"],
                "targets": [*ONE, "--detect", "sink", "--detect", "offset:1", "--contrast", "sink,offset:1", "--null_resamples", "99"]}

    def run_all(self, server, name, commands, *flags):
        """The files of each command's run, figures and report included, by their names."""
        found = {}
        for command in commands:
            self.client(command, *self.COMMANDS[command], "--server", server, "--output_dir", name, *flags)
            run, = (self.dir / name / "runs").glob(f"*-{command}-*")
            found[command] = {p.relative_to(run): p.read_bytes() for p in run.rglob("*") if p.is_file()}
        return found

    def test_every_file_is_the_same_whatever_ran_before(self):
        _, server = self.start_server()
        first = self.run_all(server, "first", self.COMMANDS)
        second = self.run_all(server, "second", reversed(self.COMMANDS))
        for command, files in first.items():
            self.assertEqual(files.keys(), second[command].keys())
            for name, data in files.items():
                if name.name == "metadata.json":
                    a, b = (json.loads(x) for x in (data, second[command][name]))
                    for known in ("created", "seconds", "job"):
                        a.pop(known), b.pop(known)
                    self.assertEqual(a, b)
                elif name.name not in ("report.html", "report.md"):  # they tell the job and its seconds
                    self.assertEqual(data, second[command][name], f"{command}: {name}")

    def test_batch_size_threads_and_memory_saver_change_no_number_beyond_rounding(self):
        _, plain = self.start_server()
        _, one_thread = self.start_server(settings="threads: 1\n")
        commands = ["nulls", "lagbuckets", "causal", "crosssize"]
        first = self.run_all(plain, "first", commands, "--no_report")
        second = self.run_all(one_thread, "second", commands, "--no_report", "--batch_size", "3", "--memory_saver")
        for command, files in first.items():
            for name, data in files.items():
                if name.suffix == ".json" and name.name != "metadata.json":
                    self.assert_close(json.loads(data), json.loads(second[command][name]), f"{command}: {name}")
                elif name.suffix == ".jsonl":
                    self.assertEqual(data, second[command][name])


class BadAnalyses(ProgramTest):
    def refused(self, code, *args, says=()):
        result = self.client(*args, "--bootstrap_resamples", "0", "--no_report", check=code)
        for word in says:
            self.assertIn(word, result.stderr)

    def test_models(self):
        self.refused(2, "crosssize", "--models", "demo-small", says=["1 model given"])
        self.refused(2, "crosssize", "--models", "demo-small", "demo-small", says=["demo-small is given twice"])
        self.refused(1, "crosssize", "--models", "demo-small", DEMO_MODELS / "demo-small", says=["are the same model"])
        self.refused(2, "crosssize", "--models", "demo-small", "demo-lage", says=["did you mean demo-large"])

    def test_random_across_tokenizers(self):
        shutil.copytree(DEMO_MODELS, self.dir / "models")
        write_tiny_model(self.dir / "models" / "other", seed=0, letters="ABCDEFGHIJKLMNOP")
        self.env["INDUCT_MODEL_DIRS"] = str(self.dir / "models")
        both = ["crosssize", "--models", "demo-small", "other"]
        self.refused(1, *both, "--task_types", "RANDOM", "--lag_values", "20", says=["different tokenizers", "other"])
        self.refused(1, *both, "--task_types", "ABAB", "--lag_values", "17", says=["other lacks 36 of the 52 words of ABAB"])
        self.client(*both, "--task_types", "ABAB", "--lag_values", "8,16", *SMALL, "--no_report")

    def test_heads_and_draws(self):
        one = ["causal", "--model", "demo-small", "--n_sequences", "16"]
        self.refused(2, *one, "--topk", "0", says=["causal_top_k"])
        self.refused(1, *one, "--topk", "33", says=["32"])
        self.refused(1, *one, "--heads", "4.0", says=["4.0", "0 to 3"])
        self.refused(2, *one, "--heads", "1.1,1.1", says=["1.1 is given twice"])
        self.refused(2, *one, "--heads", "x", says=["is no head"])
        # Draws that cannot be made are a result with its reason.
        self.client(*one, "--topk", "32", "--randomk", "32", "--no_report", "--bootstrap_resamples", "0", "--output_dir", "drawn")
        run, = (self.dir / "drawn" / "runs").iterdir()
        causal = self.json(run / "causal_demo-small.json")
        self.assertEqual(causal["random_k"]["draws"], [])
        self.assertTrue(causal["random_k"]["reason"])
        self.assertTrue(causal["matched_k"]["reason"])

    def test_patterns(self):
        self.refused(2, "profile", "--model", "demo-small", "--head", "1.1")
        one = ["pattern", "--model", "demo-small", "--n_sequences", "4", "--no_report"]
        self.assertIn("prompts are 0 to 3", self.client(*one, "--head", "1.1", "--prompt", "4", check=1).stderr)
        self.assertIn("layers are 0 to 3", self.client(*one, "--head", "9.1", check=1).stderr)

    def test_lag_buckets(self):
        one = ["lagbuckets", "--model", "demo-small", "--n_sequences", "8"]
        self.refused(2, *one, "--edges", "16,8", says=["lag_edges", "rise"])
        self.refused(2, *one, "--edges", "0", says=["lag_edges"])
        self.refused(2, *one, "--score", "previous", says=["previous"])

    def test_one_prompt_has_no_intervals_and_says_why(self):
        for command in ("nulls", "lagbuckets"):
            self.client(command, "--model", "demo-small", "--n_sequences", "1", "--no_report", "--output_dir", command)
            run = next((self.dir / command / "runs").iterdir())
            self.assertIn("one prompt", " ".join(self.json(run / "metadata.json")["warnings"]))
        self.refused(1, "causal", "--model", "demo-small", "--n_sequences", "1", says=["two prompts"])


if __name__ == "__main__":
    unittest.main()
