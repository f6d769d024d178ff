"""A profile from the command to the files, as a researcher runs it."""
import json
import subprocess
import unittest

from harness import BIN, CLIENT, ProgramTest, read_npy, wait_for, write_npy

SMALL = ["--n_sequences", "40", "--bootstrap_resamples", "50"]


class Profile(ProgramTest):
    def test_leaves_every_file_of_a_run(self):
        result = self.client("profile", "--model", "demo-small", *SMALL)
        run = self.run_dir()
        self.assertRegex(run.name, r"^\d{8}-\d{6}-profile-demo-small$")
        names = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
        expected = {"scores_demo-small.npy", "scores_demo-small_induction.npy", "scores_demo-small_duplicate.npy",
                    "scores_demo-small_previous.npy", "profile_demo-small.json", "prompts.txt", "prompts_demo-small.jsonl",
                    "prompt_scores_demo-small.npy", "prompt_counts_demo-small.npy", "config.yaml", "metadata.json", "report.html", "report.md"}
        for figure in ("heatmap_demo-small", "profile_demo-small"):
            expected |= {f"figs/{figure}.{kind}" for kind in ("png", "svg", "gp", "csv")}
        self.assertEqual(names, expected)
        self.assertEqual({p.name for p in (self.dir / "figs").iterdir()}, {"heatmap_demo-small.png", "profile_demo-small.png"})
        self.assert_no_broken_files(self.dir)
        self.assertIn(str(run.relative_to(self.dir)), result.stdout)

    def test_numbers_agree_with_each_other(self):
        self.client("profile", "--model", "demo-small", *SMALL)
        run = self.run_dir()
        profile, metadata = self.json(run / "profile_demo-small.json"), self.json(run / "metadata.json")
        layers, heads = profile["n_layers"], profile["n_heads"]
        dtype, shape, scores = read_npy(run / "scores_demo-small.npy")
        self.assertEqual((dtype, shape), ("<f4", (layers, heads)))
        self.assertEqual(scores, read_npy(run / "scores_demo-small_induction.npy")[2])
        best = max(range(len(scores)), key=lambda i: scores[i])
        self.assertEqual((profile["top_heads"][0]["layer"], profile["top_heads"][0]["head"]), divmod(best, heads))
        self.assertGreater(scores[best], 0.5)
        counts = read_npy(run / "prompt_counts_demo-small.npy")
        self.assertEqual(sum(counts[2]), profile["n_copy_ops"])
        self.assertEqual(read_npy(run / "prompt_scores_demo-small.npy")[1], (40, layers, heads))
        self.assertEqual(profile["bootstrap"]["resamples"], 50)
        self.assertEqual((metadata["state"], metadata["command"], metadata["seed"]), ("succeeded", "profile", "123"))
        self.assertEqual(metadata["models"][0]["name"], "demo-small")
        self.assertRegex(metadata["models"][0]["checkpoint_sha256"], r"^[0-9a-f]{64}$")
        self.assertEqual(metadata["models"][0]["dtype"], "float32")
        self.assertTrue(metadata["job"].startswith("jobs/"))
        lines = (run / "prompts_demo-small.jsonl").read_text().splitlines()
        self.assertEqual(len(lines), 40)
        self.assertEqual((run / "prompts.txt").read_text().splitlines(), [json.loads(line)["text"] for line in lines])

    def test_a_run_repeats_from_its_config_and_prompts(self):
        self.client("profile", "--model", "demo-small", *SMALL, "--seed", "7", "--lag_values", "5,9", "--no_such_flag", check=2)
        self.client("profile", "--model", "demo-small", *SMALL, "--seed", "7", "--lag_values", "5,9", "--antecedents", "nearest")
        first = self.run_dir()
        config, prompts = first / "config.yaml", first / "prompts_demo-small.jsonl"
        self.client("profile", "--settings", config, "--output_dir", "again")
        self.client("profile", "--settings", config, "--prompts", prompts, "--output_dir", "given")
        for name in ("scores_demo-small.npy", "prompt_scores_demo-small.npy", "profile_demo-small.json", "prompts_demo-small.jsonl"):
            for other in ("again", "given"):
                repeated = next((self.dir / other / "runs").iterdir()) / name
                self.assertEqual(repeated.read_bytes(), (first / name).read_bytes(), f"{other} {name}")

    def test_memory_saver_and_batch_size_change_no_number(self):
        variants = {"plain": [], "saver": ["--memory_saver"], "batch": ["--batch_size", "3"]}
        for name, flags in variants.items():
            self.client("profile", "--model", "demo-large", *SMALL, *flags, "--output_dir", name)
        scores = {name: read_npy(next((self.dir / name / "runs").iterdir()) / "scores_demo-large.npy")[2] for name in variants}
        for name in ("saver", "batch"):
            for a, b in zip(scores[name], scores["plain"]):
                self.assertAlmostEqual(a, b, delta=1e-6)

    def test_token_rows_and_texts_are_taken(self):
        write_npy(self.dir / "rows.npy", [[5, 6, 7, 8, 9, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 9, 8, 7, 6, 5]], "<u2")
        self.client("profile", "--model", "demo-small", "--tokens", "rows.npy", "--output_dir", "rows")
        rows = [json.loads(line) for line in next((self.dir / "rows/runs").iterdir()).joinpath("prompts_demo-small.jsonl").read_text().splitlines()]
        self.assertEqual(rows[0]["token_ids"], [5, 6, 7, 8, 9, 5, 6, 7, 8, 9])
        self.assertEqual((rows[0]["task"], rows[0]["n_bos"]), ("TOKENS", 0))
        (self.dir / "texts.txt").write_text(" A b C d A b C d\r\n\n Anna Ben Anna Ben\n")
        self.client("profile", "--model", "demo-small", "--prompts", "texts.txt", "--output_dir", "texts")
        texts = next((self.dir / "texts/runs").iterdir())
        self.assertEqual((texts / "prompts.txt").read_text(), " A b C d A b C d\n Anna Ben Anna Ben\n")
        # prompts of different lengths in one job score as each alone
        for i, text in enumerate((" A b C d A b C d", " Anna Ben Anna Ben")):
            (self.dir / "one.txt").write_text(text + "\n")
            self.client("profile", "--model", "demo-small", "--prompts", "one.txt", "--min_lag", "2", "--output_dir", f"one{i}")
        self.client("profile", "--model", "demo-small", "--prompts", "texts.txt", "--min_lag", "2", "--output_dir", "both")
        both = read_npy(next((self.dir / "both/runs").iterdir()) / "prompt_scores_demo-small.npy")[2]
        alone = [x for i in range(2) for x in read_npy(next((self.dir / f"one{i}/runs").iterdir()) / "prompt_scores_demo-small.npy")[2]]
        for a, b in zip(both, alone):
            self.assertAlmostEqual(a, b, delta=1e-6)

    def test_json_is_all_that_stands_on_stdout(self):
        result = self.client("profile", "--model", "demo-small", *SMALL, "--json")
        self.assertEqual(json.loads(result.stdout), self.json(self.run_dir() / "profile_demo-small.json"))

    def test_quiet_says_nothing_on_stderr(self):
        result = self.client("profile", "--model", "demo-small", *SMALL, "--quiet")
        self.assertEqual(result.stderr, "")

    def test_print_prompts_runs_no_job(self):
        result = self.client("profile", "--model", "demo-small", "--n_sequences", "6", "--print_prompts")
        self.assertEqual(len(result.stdout.splitlines()), 6, result.stdout)
        self.assertEqual(self.runs(), [])

    def test_flags_beat_the_environment_which_beats_the_file(self):
        (self.dir / "my.yaml").write_text("seed: 1\nseq_len: 64\nmin_lag: 4\n")
        self.client("profile", "--model", "demo-small", *SMALL, "--settings", "my.yaml", "--seed", "3",
                    env={"INDUCT_SEED": "2", "INDUCT_SEQ_LEN": "128"})
        config = (self.run_dir() / "config.yaml").read_text()
        for line in ("seed: 3", "seq_len: 128", "min_lag: 4"):
            self.assertIn(line, config)

    def test_without_gnuplot_all_but_figures_is_saved(self):
        folder = self.dir / "path"
        folder.mkdir()
        result = self.client("profile", "--model", "demo-small", *SMALL, env={"PATH": str(folder)})
        self.assertIn("gnuplot", result.stderr)
        self.assertTrue((self.run_dir() / "profile_demo-small.json").exists())

    def test_plain_lines_where_there_is_no_terminal(self):
        result = self.client("profile", "--model", "demo-small", *SMALL)
        self.assertNotIn("\x1b", result.stderr + result.stdout)
        self.assertNotIn("\r", result.stderr + result.stdout)

    def test_the_client_links_no_libtorch(self):
        libraries = subprocess.run(["ldd", CLIENT], capture_output=True, text=True, check=True).stdout
        self.assertNotRegex(libraries, r"lib(torch|c10)")  # names only: load addresses may hold "c10" by chance
        self.assertIn("grpc", libraries)


class SharedServer(ProgramTest):
    def test_jobs_share_a_resident_model(self):
        server, address = self.start_server()
        self.client("profile", "--model", "demo-small", "--server", address, *SMALL)
        models = json.loads(self.client("models", "--server", address, "--json").stdout)["models"]
        resident = {m["name"]: m["state"] == "available" for m in models}
        self.assertEqual(resident, {"demo-large": False, "demo-small": True})
        self.client("profile", "--model", "demo-small", "--server", address, *SMALL)
        self.assertEqual(self.job_states(address), ["succeeded", "succeeded"])
        self.assertRegex(server.log.read_text(), r"info \[jobs/[0-9A-Z]{26}\]")

    def test_models_of_the_settings_are_loaded_at_the_start(self):
        server, address = self.start_server(settings="models: [demo-large]\n")
        out = self.client("models", "--server", address)
        self.assertIn("demo-large", out.stdout)
        wait_for(lambda: "[demo-large] loaded on cpu" in server.log.read_text(), "the model to be loaded")

    def test_the_server_can_be_named_by_the_environment_and_the_users_file(self):
        _, address = self.start_server()
        self.client("jobs", env={"INDUCT_SERVER": address})
        (self.dir / "config" / "induct").mkdir(parents=True)
        (self.dir / "config" / "induct" / "client.yaml").write_text(f"server: {address}\n")
        self.client("jobs")

    def test_unix_sockets_work(self):
        path = self.dir / "induct.sock"
        process = subprocess.Popen([BIN / "induct-server", "--listen", f"unix:{path}"], cwd=self.dir, env=self.env, stderr=subprocess.DEVNULL)
        self.addCleanup(self._end, process)
        wait_for(path.exists, "the socket")
        self.client("profile", "--model", "demo-small", "--server", f"unix:{path}", *SMALL)

    def test_check_says_whether_the_settings_are_good(self):
        good = subprocess.run([BIN / "induct-server", "--check"], cwd=self.dir, env=self.env, capture_output=True, text=True)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("2 models", good.stdout)
        (self.dir / "bad.yaml").write_text("models: [nothing]\n")
        bad = subprocess.run([BIN / "induct-server", "--check", "--settings", "bad.yaml"], cwd=self.dir, env=self.env, capture_output=True, text=True)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("nothing", bad.stderr)
        # defaults that the server's own limits refuse, and a folder that is not there
        for settings, says in (("limits: {max_prompts: 100}", "n_sequences"), ("model_dirs: [/nowhere]", "/nowhere")):
            (self.dir / "bad.yaml").write_text(settings + "\n")
            env = {k: v for k, v in self.env.items() if k != "INDUCT_MODEL_DIRS"}
            bad = subprocess.run([BIN / "induct-server", "--check", "--settings", "bad.yaml"], cwd=self.dir, env=env, capture_output=True, text=True)
            self.assertEqual(bad.returncode, 1)
            self.assertIn(says, bad.stderr)

    def check(self, **settings):
        """(exit code, output) of --check with these variables."""
        env = {**self.env, **{f"INDUCT_{key.upper()}": value for key, value in settings.items()}}
        done = subprocess.run([BIN / "induct-server", "--check"], cwd=self.dir, env=env, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_allow_models_limits_what_is_served_listed_and_preloaded(self):
        self.assertIn("1 models", self.check(allow_models="demo-s*,other/*")[1])
        code, says = self.check(allow_models="demo-s*", models="demo-large")
        self.assertEqual(code, 1)
        self.assertIn("allow_models", says)
        self.env["INDUCT_ALLOW_MODELS"] = "demo-s*"
        self.client("profile", "--model", "demo-small", *SMALL)
        self.assertIn("allow_models", self.client("profile", "--model", "demo-large", *SMALL, check=1).stderr)
        self.assertNotIn("demo-large", self.client("models").stdout)

    def test_model_memory_mb_is_what_models_may_take(self):
        self.assertIn("models may take 0.01 GB of cpu", self.check(model_memory_mb="7")[1])
        self.assertRegex(self.check()[1], r"models may take [1-9][0-9]*\.[0-9]+ GB of cpu")
        self.env["INDUCT_MODEL_MEMORY_MB"] = "2"  # demo-large has 4.8 MB in float32, 1.6 MB of them in embeddings and two layers
        self.client("profile", "--model", "demo-large", *SMALL)
        self.env["INDUCT_MODEL_MEMORY_MB"] = "1"
        self.assertIn("model_memory_mb", self.client("profile", "--model", "demo-large", *SMALL, check=1).stderr)

    def test_products_of_linear_layers_are_chosen_once_told_and_can_be_fixed(self):
        def profile(**settings):
            environment = {f"INDUCT_{key.upper()}": value for key, value in settings.items()}
            self.client("profile", "--model", "demo-small", "--n_sequences", "8", "--no_figures", "--no_report", env=environment)
            return self.json(self.runs()[-1] / "metadata.json")["models"][0]["linear_products"]

        chosen = profile()
        self.assertEqual([(p["n_in"], p["n_out"]) for p in chosen], [(128, 384), (128, 128), (128, 256), (256, 128)])
        for product in chosen:
            self.assertIn(product["product"], ("aten", "onednn", "onednn_packed"))
            self.assertGreater(product["gflops"], 0)
        self.assertEqual(profile(), chosen)  # rates too: a second server reads the file of the first
        kept = self.dir / ".cache" / "induct" / "linear_choices.json"
        self.assertEqual(len(self.json(kept)), 4)
        kept.write_text("{")
        self.assertEqual(len(profile()), 4)
        self.assertEqual(len(self.json(kept)), 4)
        kept.unlink()
        for fixed in ("aten", "onednn"):
            for product in profile(linear=fixed):
                self.assertEqual((product["product"], product.get("gflops", 0)), (fixed, 0))
        self.assertFalse(kept.exists())

    def test_versions(self):
        self.assertRegex(self.client("--version").stdout, r"induct-client \d+\.\d+\.\d+")
        out = subprocess.run([BIN / "induct-server", "--version"], capture_output=True, text=True)
        self.assertRegex(out.stdout, r"induct-server \d+\.\d+\.\d+, LibTorch 2\.")


if __name__ == "__main__":
    unittest.main()
