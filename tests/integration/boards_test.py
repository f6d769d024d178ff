"""Whether Prometheus's rules and Grafana's boards speak of metrics that a server has, and are answered."""
import json
import math
import re
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import ROOT, wait_for
from metrics_test import KINDS, SMALL, MetricsTest
from prometheus import PROMETHEUS

sys.path.insert(0, str(ROOT / "tests" / "boards"))
from board_queries import may_be_empty, of_all_servers, panels, queries  # noqa: E402

RULES = ROOT / "deploy" / "prometheus" / "rules" / "induct.yml"


def metrics_in(text):
    """Names of a server's metrics, without those that rules record, whose names have colons."""
    return set(re.findall(r"(?<![\w:])(?:induct|process)_\w+", re.sub(r"\w+:[\w:]+", "", re.sub(r"^ *#.*$", "", text, flags=re.M))))


class BoardsTest(MetricsTest):
    def start_prometheus(self, targets=None):
        """With the rules of deploy/, and a scrape a second; `targets`: in place of the server that was started."""
        targets = [urllib.parse.urlsplit(self.url).netloc] if targets is None else targets
        (self.dir / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\nscrape_configs:\n"
            f"  - {{job_name: induct, static_configs: [{{targets: {targets}}}]}}\n")
        log = self.dir / "prometheus.log"
        with open(log, "w") as stderr:
            process = subprocess.Popen([PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"],
                                       cwd=self.dir, stderr=stderr, stdout=subprocess.DEVNULL)
        self.addCleanup(self._end, process)
        wait_for(lambda: "Server is ready" in log.read_text(), "Prometheus to be ready")
        self.prometheus = "http://" + re.search(r"address=(127\.0\.0\.1:[1-9]\d*)", log.read_text())[1]

    def ask(self, query, how="?"):
        try:
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/query{how}&query={urllib.parse.quote(query)}", timeout=20) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

    def shown(self, panel):
        """Legend to the number that the panel shows as how things are, of a range of a minute where it asks for one, as Grafana reduces it; None: no number."""
        now, numbers = int(time.time()), {}
        for target in panel["targets"]:
            query = of_all_servers(target["expr"])
            series = ([[one["value"]] for one in self.ask(query)] if target["instant"] else
                      [one["values"] for one in self.ask(query, f"_range?start={now - 60}&end={now}&step=1")])
            for values in series:
                found = [float(text) for _, text in values]
                if panel["options"].get("reduceOptions", {}).get("calcs") == ["lastNotNull"]:
                    found = [number for number in found if not math.isnan(number)]
                elif panel["type"] == "timeseries" and values[-1][0] < now:
                    continue  # its line ends before
                numbers[target["legendFormat"]] = None if not found or math.isnan(found[-1]) else found[-1]
        return numbers

    @unittest.skipUnless(PROMETHEUS, "there is no Prometheus")
    def test_of_a_server_that_is_gone_the_overview_shows_no_number_as_of_now_and_nothing_as_well(self):
        server, address = self.start()
        self.start_prometheus()
        self.client("profile", "--model", "demo-small", *SMALL, "--server", address)
        of = {panel["title"]: panel for panel in panels("overview")}
        of_now = [title for title, panel in of.items() if panel["type"] == "stat" and panel["options"]["graphMode"] == "area"]
        self.assertEqual(len(of_now), 5)
        may_be_well = [title for title, panel in of.items() if panel["type"] in ("timeseries", "bargauge")
                       and panel["fieldConfig"]["defaults"]["noValue"] != "No data"]
        self.assertEqual(len(may_be_well), 3)
        for title in of_now:
            wait_for(lambda: list(self.shown(of[title]).values()) not in ([], [None]), f"{title} to have a number")
        for title in may_be_well:
            self.assertNotIn("No server answers", self.shown(of[title]), title)
        self.assertEqual(self.shown(of["Servers down"]), {"down": 0})

        server.kill()
        server.wait()
        wait_for(lambda: self.ask("up == 0"), "the server to be missed")
        time.sleep(2)  # steps of the range are seconds
        for title in of_now:
            with self.subTest(panel=title):
                self.assertEqual(set(self.shown(of[title]).values()), {None})
        for title in may_be_well:
            with self.subTest(panel=title):
                self.assertIn("No server answers", self.shown(of[title]))
        self.assertEqual(self.shown(of["Servers down"]), {"down": 1})

    @unittest.skipUnless(PROMETHEUS, "there is no Prometheus")
    def test_where_no_server_is_known_the_overview_says_so(self):
        self.start_prometheus(targets=[])
        of = {panel["title"]: panel for panel in panels("overview")}
        self.assertEqual(self.shown(of["Servers down"]), {"down": -1})
        [mapping] = of["Servers down"]["fieldConfig"]["defaults"]["mappings"]
        self.assertEqual(mapping["options"]["-1"], {"text": "no server known", "index": 0, "color": "red"})
        self.assertIn("No server answers", self.shown(of["What runs now, and how far it is"]))

    def test_every_metric_that_rules_and_boards_name_is_on_a_servers_page(self):
        _, address = self.start()
        self.run_each_kind(address)
        running = self.started_job(address)
        wait_for(lambda: self.page().having("running_job_info"), "a model to be measured")
        page = self.page()
        named = metrics_in(RULES.read_text()).union(*(metrics_in(query) for _, query in queries()))
        self.assertGreater(len(named), 30)
        self.assertEqual(named - {name for name, _, _ in page.series}, set())
        self.interrupt(running)

    @unittest.skipUnless(PROMETHEUS, "there is no Prometheus")
    def test_every_query_of_every_board_is_answered_with_data(self):
        _, address = self.start()
        self.start_prometheus()
        wait_for(lambda: self.ask('up{job="induct"} == 1'), "the first scrape")
        self.run_each_kind(address)
        running = self.started_job(address)
        for kind in KINDS:
            wait_for(lambda: self.ask(f'instance_kind:induct_job_run_seconds:p95_1h{{kind="{kind}"}} > 0'), f"{kind} to be recorded")
        wait_for(lambda: self.ask("induct_running_job_info"), "the job that runs")
        for panel, query in queries():
            with self.subTest(panel=panel, query=query):
                found = self.ask(of_all_servers(query))
                if not may_be_empty(query):
                    self.assertNotIn([one["value"][1] for one in found], ([], ["NaN"]))
        self.interrupt(running)


if __name__ == "__main__":
    unittest.main()
