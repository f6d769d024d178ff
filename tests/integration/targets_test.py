"""`targets`: what the user names, or detectors find, is read; against profiles, patterns and plain Python."""
import json
import shlex
import unittest

from harness import ProgramTest, read_npy

PROMPTS = ["--n_sequences", "40"]
ONE = ["--model", "demo-small", *PROMPTS, "--bootstrap_resamples", "50"]
BARE = [*ONE, "--no_figures", "--no_report", "--quiet"]
N_LAYERS, N_HEADS = 4, 8


def repeats(ids, n_bos, step, min_lag):
    """(query, key) of every token that stood once before, as the antecedents "first" have it; step 1: induction."""
    for t in range(n_bos, len(ids)):
        earlier = [s for s in range(n_bos, t) if ids[s] == ids[t]]
        if len(earlier) == 1 and t - earlier[0] >= min_lag:
            yield t, earlier[0] + step


def firsts(ids, n_bos):
    """(query, key) of every token that stands for the first time: previous."""
    for t in range(n_bos + 1, len(ids)):
        if ids[t] not in ids[n_bos:t]:
            yield t, t - 1


def detected(name, ids, n_bos, token=None):
    """(query, keys) of a detector."""
    for t in range(n_bos, len(ids)):
        keys = {"sink": [0] if t > 0 else [],
                "self": [t],
                "offset:2": [t - 2] if t - 2 >= n_bos else [],
                "same_token": [s for s in range(n_bos, t) if ids[s] == ids[t]],
                "token": [s for s in range(n_bos, t) if ids[s] == token]}[name]
        if keys:
            yield t, keys


class Targets(ProgramTest):
    def run_of(self, command, *args, folder="outputs"):
        """The directory of a new run."""
        base = self.dir / folder / "runs"
        before = set(base.iterdir()) if base.exists() else set()
        self.client(command, *args, "--output_dir", folder)
        run, = set(base.iterdir()) - before
        return run

    def prompts(self, run):
        return [json.loads(line) for line in (run / "prompts_demo-small.jsonl").read_text().splitlines()]

    def write_targets(self, lines, name="t.jsonl"):
        (self.dir / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
        return name

    def test_the_operations_of_a_profile_give_its_scores_to_the_last_digit(self):
        profile = self.run_of("profile", *BARE)
        lines = []
        for i, prompt in enumerate(self.prompts(profile)):
            ids, n_bos = prompt["token_ids"], prompt["n_bos"]
            for group, found in {"induction": repeats(ids, n_bos, 1, 3), "duplicate": repeats(ids, n_bos, 0, 3), "previous": firsts(ids, n_bos)}.items():
                lines += [{"prompt": i, "query": t, "key": s, "group": group} for t, s in found]
        run = self.run_of("targets", *BARE, "--targets", self.write_targets(lines))
        for group in ("induction", "duplicate", "previous"):
            self.assertEqual((run / f"targets_demo-small_{group}.npy").read_bytes(), (profile / f"scores_demo-small_{group}.npy").read_bytes(), group)
        groups = {group["name"]: group for group in self.json(run / "targets_demo-small.json")["groups"]}
        of_profile = self.json(profile / "profile_demo-small.json")
        self.assertEqual(groups["induction"]["n_operations"], of_profile["n_copy_ops"])
        self.assertEqual(groups["induction"]["per_layer"], of_profile["per_layer"])
        for end in ("ci_low", "ci_high"):
            self.assertEqual(groups["induction"]["heads"][end], of_profile["bootstrap"]["heads"][end])
            self.assertEqual(groups["induction"]["band"][end], of_profile["bootstrap"]["per_layer"][end])

    def test_detectors_and_ranges_read_what_plain_python_reads_of_patterns(self):
        heads, number, token = [(0, 3), (1, 4), (1, 5), (3, 0)], 0, None
        patterns, prompt = {}, None
        first = self.run_of("profile", *BARE)
        prompt = self.prompts(first)[number]
        (self.dir / "one.jsonl").write_text((first / "prompts_demo-small.jsonl").read_text().splitlines()[number] + "\n")
        given = ["--model", "demo-small", "--prompts", "one.jsonl", "--no_figures", "--no_report", "--quiet"]
        for layer, head in heads:
            run = self.run_of("pattern", *given, "--head", f"{layer}.{head}")
            tokens = self.json(run / "pattern_demo-small.json")["tokens"]
            patterns[layer, head] = read_npy(run / "pattern_demo-small.npy")[2]
        ids, n_bos = prompt["token_ids"], prompt["n_bos"]
        n, token = len(ids), ids[n_bos]
        text = tokens[n_bos]
        names = {"sink": "sink", "self": "self", "offset:2": "offset:2", "same_token": "same_token", f"token:{text}": "token"}
        ranges = [{"prompt": 0, "query": [4, 6], "key": [1, 3], "group": "w", "weight": 2.0}, {"prompt": 0, "query": 7, "key": [0, 7], "group": "w", "weight": 0.5},
                  {"prompt": 0, "query": 8, "key": 2, "group": "w"}]
        detect = [word for name in names for word in ("--detect", name)]
        run = self.run_of("targets", *given, "--targets", self.write_targets(ranges), *detect)
        groups = {group["name"]: group for group in self.json(run / "targets_demo-small.json")["groups"]}
        self.assertEqual(list(groups), ["w", *names])
        for (layer, head), p in patterns.items():
            at = layer * N_HEADS + head
            value = lambda t, keys: sum(p[t * n + s] for s in keys)
            for name, kind in names.items():
                operations = [value(t, keys) for t, keys in detected(kind, ids, n_bos, token)]
                self.assertEqual(groups[name]["n_operations"], len(operations), name)
                self.assertAlmostEqual(groups[name]["scores"]["values"][at], sum(operations) / len(operations), delta=1e-6, msg=name)
                array = read_npy(run / groups[name]["file"])
                self.assertEqual(array[:2], ("<f4", (N_LAYERS, N_HEADS)))
                self.assertEqual(array[2][at], groups[name]["scores"]["values"][at])
            weighted = 2 * sum(value(t, range(1, 4)) for t in range(4, 7)) + 0.5 * value(7, range(8)) + value(8, [2])
            self.assertAlmostEqual(groups["w"]["scores"]["values"][at], weighted / 7.5, delta=1e-6)
        self.assertEqual((groups["w"]["n_operations"], groups["w"]["weight"]), (5, 7.5))

    def test_contrasts_are_differences_with_their_sign(self):
        lines = [{"prompt": i, "query": 5, "key": 0, "group": "a, b"} for i in range(4)]
        result = self.client("targets", *ONE, "--null_resamples", "99", "--detect", "sink", "--detect", "offset:1", "--targets", self.write_targets(lines),
                             "--contrast", "offset:1,sink", "--contrast", "sink,offset:1", "--contrast", "a, b,sink")
        run = self.run_dir()
        targets = self.json(run / "targets_demo-small.json")
        groups = {group["name"]: group["scores"]["values"] for group in targets["groups"]}
        forth, back, few = targets["contrasts"]
        self.assertEqual((few["group_a"], few["group_b"], few["n_prompts"]), ("a, b", "sink", 4))
        self.assertIsNone(few.get("p_adjusted"))
        for key in ("difference", "prompt_effect"):
            self.assertEqual(forth[key]["values"], [-x for x in back[key]["values"]])
        self.assertEqual(forth["difference"]["values"], [a - b for a, b in zip(groups["offset:1"], groups["sink"])])
        self.assertEqual(forth["p_adjusted"]["values"], back["p_adjusted"]["values"])
        self.assertEqual(forth["n_prompts"], 40)
        # Head 1.5 of the demo model attends to the token before, 1.6 to the first one.
        self.assertGreater(forth["difference"]["values"][13], 0.9)
        self.assertLess(forth["difference"]["values"][14], -0.7)
        for low, value, high in zip(forth["heads"]["ci_low"]["values"], forth["difference"]["values"], forth["heads"]["ci_high"]["values"]):
            self.assertTrue(low - 1e-6 <= value <= high + 1e-6)
        self.assertIn("largest difference        layer 1 head 5: +0.9", result.stdout)
        self.assertRegex(result.stdout, r"of 32 heads were shown to differ \(p <= 0\.05, adjusted over heads\)")
        self.assertIn("no p-values: 4 prompts with operations of both, where a test takes five", result.stdout)
        figures = {path.name for path in (run / "figs").glob("*.png")}
        self.assertLessEqual({"targets_demo-small_sink.png", "targets_demo-small_offset_1.png", "targets_demo-small_a__b.png",
                              "contrast_demo-small_offset_1_sink.png", "contrast_demo-small_a__b_sink.png"}, figures)
        self.assertIn("Contrast offset:1 - sink", (run / "report.md").read_text())
        self.assert_no_broken_files(run)

    def test_settings_have_their_effects(self):
        args = [*PROMPTS, "--model", "demo-small", "--no_figures", "--no_report", "--quiet", "--detect", "sink", "--detect", "self", "--contrast", "sink,self"]
        def result(*more):
            return self.json(self.run_of("targets", *args, *more) / "targets_demo-small.json")
        plain = result("--bootstrap_resamples", "0")
        self.assertEqual(plain["resamples"], 0)
        self.assertIsNone(plain["groups"][0].get("heads"))
        mean = result("--bootstrap_resamples", "0", "--aggregation", "mean")
        self.assertEqual((plain["n_heads_kept"], mean["n_heads_kept"]), (1, 8))
        self.assertNotEqual(plain["groups"][0]["per_layer"], mean["groups"][0]["per_layer"])
        p = [min(result("--bootstrap_resamples", "0", "--null_resamples", n)["contrasts"][0]["p_adjusted"]["values"]) for n in ("19", "199")]
        self.assertEqual(p, [1 / 20, 1 / 200])
        bands = [result("--bootstrap_resamples", "20", "--prompts", self.same_prompts(), "--seed", seed)["groups"][0]["heads"] for seed in ("1", "2")]
        self.assertNotEqual(*bands)

    def same_prompts(self):
        texts = self.dir / "p.txt"
        if not texts.exists():
            texts.write_text("".join(f"the {a} saw the {b} and the {a}\n" for a in ("dog", "king", "boy") for b in ("cat", "tree")))
        return texts.name

    def test_bad_input_is_named_and_nothing_runs(self):
        good = '{"prompt": 0, "query": 1, "key": 0}\n'
        def refused(code, text, says, *more):
            (self.dir / "bad.jsonl").write_text(text)
            result = self.client("targets", *BARE, "--targets", "bad.jsonl", *more, check=code)
            self.assertIn(says, result.stderr)
        at = "induct-client: bad.jsonl:3: "
        for line, says in {"[1]": "no JSON object", '{"prompt": 0, "query": 1, "key": 0, "wait": 1}': 'there is no key "wait"',
                           '{"prompt": 0, "query": 1}': "no key; ", '{"prompt": 0, "query": 1, "key": -1}': "key: -1 is no whole number",
                           '{"prompt": 0.5, "query": 1, "key": 0}': "prompt: 0.5 is no whole number", '{"prompt": 0, "query": [2, 1], "key": 0}': "query: [2,1] ends before",
                           '{"prompt": 0, "query": [1, 3], "key": [0, 2]}': "key 2 is behind query 1", '{"prompt": 0, "query": 1, "key": 0, "weight": 0}': "weight: 0 is no",
                           '{"prompt": 0, "query": 1, "key": 0, "weight": 1e-40}': "weight 1e-40 is not within",
                           '{"prompt": 0, "query": 1, "key": 0, "group": "%s"}' % ("x" * 201): "a group's name has 1 to 200 bytes"}.items():
            refused(2, good + "\n" + line + "\n" + good, at + says)
        refused(2, good, '--contrast: there is no group "sink"', "--contrast", "targets,sink")
        refused(2, good, "--contrast: targets is compared with itself", "--contrast", "targets,targets")
        refused(2, good, "are compared twice", *["--detect", "sink"], *["--contrast", "targets,sink"] * 2)
        refused(2, good, '--detect: "snik" is none', "--detect", "snik")
        refused(2, good * 1_000_001, "bad.jsonl:1000001: more than 1000000 targets")
        refused(2, "".join(f'{{"prompt": 0, "query": 1, "key": 0, "group": "{i}"}}\n' for i in range(65)), "targets: 65 groups, 64 are allowed")
        self.assertIn("there is nothing to read", self.client("targets", *BARE, check=2).stderr)
        self.assertEqual(self.runs(), [])
        # What only the prompts can tell fails the job before anything is read.
        for line, says in {'{"prompt": 40, "query": 1, "key": 0}': "there is no prompt 40; prompts are 0 to 39",
                           '{"prompt": 0, "query": 900, "key": 0}': "query 900 lies outside prompt 0, whose positions are 0 to "}.items():
            refused(1, good + "\n" + line + "\n", at + says)
        refused(1, good, "token: the dog", "--detect", "token: the dog")
        for run in self.runs():
            self.assertEqual(list(run.glob("*.npy")), [])

    def test_fetch_and_the_repeat_line_give_the_same_files(self):
        _, address = self.start_server()
        lines = [{"prompt": i, "query": [3, 5], "key": [0, 2], "group": "it's, \u00fc", "weight": 0.1 + i} for i in range(9)]
        lines += [{"prompt": 3, "query": 2, "key": 1}]
        args = [*BARE, "--server", address]
        made = self.run_of("targets", *args, "--targets", self.write_targets(lines), "--detect", "token: the", "--detect", "same_token", "--detect", "sink",
                           "--contrast", "it's, \u00fc,sink", "--contrast", "same_token,sink")
        job = self.json(made / "metadata.json")["job"]
        fetched = self.dir / "fetched" / "runs"
        self.client("fetch", job, "--server", address, "--output_dir", "fetched", "--no_figures", "--no_report", "--quiet")
        fetched, = fetched.iterdir()
        first = (made / "config.yaml").read_text().splitlines()[0]
        self.assertIn("--targets RUN/targets_demo-small.jsonl", first)
        command, *again = shlex.split(first.split("induct-client ")[1].replace("RUN/", f"{made}/"))
        repeated = self.run_of(command, *again, "--server", address, "--no_figures", "--no_report", "--quiet", folder="repeated")
        names = {path.name for path in made.iterdir()}
        self.assertLessEqual({"targets_demo-small.json", "targets_demo-small.jsonl", "targets_demo-small_sink.npy", "prompts_demo-small.jsonl"}, names)
        for other in (fetched, repeated):
            self.assertEqual({path.name for path in other.iterdir()}, names)
            for name in names - {"metadata.json"}:
                self.assertEqual((other / name).read_bytes(), (made / name).read_bytes(), name)
        metadata, expected = self.json(fetched / "metadata.json"), self.json(made / "metadata.json")
        for each in (metadata, expected):
            each.pop("created")
        self.assertEqual(metadata, expected)

    def test_as_many_targets_as_may_be_come_and_go(self):
        run = self.run_of("targets", *BARE, "--targets", self.write_targets([{"prompt": i % 40, "query": 3, "key": 1, "group": "many"} for i in range(300_000)]))
        group, = self.json(run / "targets_demo-small.json")["groups"]
        self.assertEqual(group["n_operations"], 300_000)
        self.assertEqual(len((run / "targets_demo-small.jsonl").read_text().splitlines()), 300_000)


if __name__ == "__main__":
    unittest.main()
