"""What the boards ask Prometheus."""
import json
import pathlib
import re

BOARDS = sorted((pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana" / "dashboards").glob("*.json"))


def queries():
    """(board and panel, PromQL) of every query of every board."""
    found = []
    for path in BOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
    return found


def panels(board):
    return json.loads(next(path for path in BOARDS if path.stem == board).read_text())["panels"]


def of_all_servers(query):
    """As Grafana asks it where all servers are chosen."""
    return query.replace("$instance", ".*").replace("$__rate_interval", "1m")


def may_be_empty(query):
    """GPUs may not be there, alerts may not fire, and a comparison leaves out what is as it should be, unless something stands for it."""
    return " or vector(" not in query and re.search(r"DCGM_|ALERTS| [<>=]+ ", query)
