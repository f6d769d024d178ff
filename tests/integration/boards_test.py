"""Whether Prometheus's rules and Grafana's boards speak of metrics that a server has, and are answered."""
import json
import re
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request

from harness import ROOT, wait_for
from metrics_test import KINDS, MetricsTest
from prometheus import PROMETHEUS

sys.path.insert(0, str(ROOT / "tests" / "boards"))
from board_queries import may_be_empty, of_all_servers, queries  # noqa: E402

RULES = ROOT / "deploy" / "prometheus" / "rules" / "induct.yml"


def metrics_in(text):
    """Names of a server's metrics, without those that rules record, whose names have colons."""
    return set(re.findall(r"(?<![\w:])(?:induct|process)_\w+", re.sub(r"\w+:[\w:]+", "", re.sub(r"^ *#.*$", "", text, flags=re.M))))


class BoardsTest(MetricsTest):
    def start_prometheus(self):
        """With the rules of deploy/, and a scrape a second."""
        (self.dir / "prometheus.yml").write_text(
            f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\nscrape_configs:\n"
            f"  - {{job_name: induct, static_configs: [{{targets: ['{urllib.parse.urlsplit(self.url).netloc}']}}]}}\n")
        log = self.dir / "prometheus.log"
        with open(log, "w") as stderr:
            process = subprocess.Popen([PROMETHEUS, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"],
                                       cwd=self.dir, stderr=stderr, stdout=subprocess.DEVNULL)
        self.addCleanup(self._end, process)
        wait_for(lambda: "Server is ready" in log.read_text(), "Prometheus to be ready")
        self.prometheus = "http://" + re.search(r"address=(127\.0\.0\.1:[1-9]\d*)", log.read_text())[1]

    def ask(self, query):
        try:
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?query={urllib.parse.quote(query)}", timeout=20) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from None

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
                    self.assertNotEqual(found, [])
        self.interrupt(running)


if __name__ == "__main__":
    unittest.main()
