"""Alerts and dashboard: valid PromQL over metrics that TensorFlow Serving really has, and the same rules everywhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

DEPLOY = Path(__file__).parents[3] / "serving" / "deploy"
DASHBOARD = DEPLOY / "monitoring" / "grafana" / "dashboards" / "tensorflow-serving.json"

# Names and labels from TensorFlow Serving's servables/tensorflow/util.cc, saved_model_warmup_util.cc and
# batching/batching_session.cc, TensorFlow's core/framework/metrics.cc and cc/saved_model/loader.cc; a slash becomes a
# colon in util/prometheus_exporter.cc.
COUNTERS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:batching_session:wrapped_run_count": set(),
    ":tensorflow:core:graph_run_time_usecs": set(),
    ":tensorflow:core:graph_runs": set(),
    ":tensorflow:cc:saved_model:load_attempt_count": {"model_path", "status"},
    ":tensorflow:cc:saved_model:load_latency": {"model_path"},
}
HISTOGRAMS = {
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:model_warmup_latency": {"model_path", "status"},
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
    ":tensorflow:core:graph_run_time_usecs_histogram": set(),
}
# Not TensorFlow Serving's: Prometheus, cAdvisor, NVIDIA's DCGM exporter.
OTHERS = {
    "up": set(),
    "container_memory_working_set_bytes": {"pod", "name", "container"},
    "DCGM_FI_DEV_GPU_UTIL": {"Hostname", "gpu"},
    "DCGM_FI_DEV_FB_USED": {"Hostname", "gpu"},
}
TARGET = {"job", "instance", "namespace", "pod", "le"}  # what a scrape adds, and a histogram's buckets


def metrics():
    """Series name → its labels."""
    series = {f"{name}{end}": labels for name, labels in HISTOGRAMS.items() for end in ("_bucket", "_sum", "_count")}
    return {**COUNTERS, **OTHERS, **series}


def rules():
    """The rules of alerts.yml."""
    return [
        rule
        for group in yaml.safe_load((DEPLOY / "monitoring" / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]


def panels():
    """The panels of the dashboard that show something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    """Every PromQL expression there is, by where it stands; Grafana's variables as Grafana fills them in."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in rules()}
    for panel in panels():
        found |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    for annotation in json.loads(DASHBOARD.read_text())["annotations"]["list"]:
        found[f"annotation {annotation['name']}"] = annotation["expr"]
    (rule,) = yaml.safe_load((DEPLOY / "k8s" / "prometheus-adapter.yaml").read_text())["rules"]["custom"]
    found["adapter"] = rule["seriesQuery"]
    return {
        place: text.replace("$__rate_interval", "1m").replace("$job", ".*").replace("$model", ".*")
        for place, text in found.items()
    }


@pytest.mark.parametrize(("place", "expression"), expressions().items(), ids=list(expressions()))
def test_expression_is_promql_over_metrics_and_labels_that_exist(place, expression):
    promql = pytest.importorskip("promql_parser", reason="pip install '.[dev]' has promql-parser")
    promql.parse(expression)
    selectors = re.findall(r"(?<![\w:$\"])(:?[a-zA-Z_][\w:]*)(?:\{([^}]*)\})?(?=[\[\s){]|$)", expression)
    known = metrics()
    named = [(name, matchers) for name, matchers in selectors if ":" in name or name in known]
    assert named
    for name, matchers in named:
        assert name in known, name
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", matchers)) <= known[name] | TARGET, name
    labels = set().union(*(known[name] for name, _ in named)) | TARGET
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= labels, grouped


def test_metric_name_that_does_not_exist_is_found():
    """The check above, checked: a histogram has no series of its bare name."""
    assert ":tensorflow:serving:request_latency" not in metrics()


# An hour of request_count by status, in promtool's notation: start+step x minutes.
WOKEN = {
    "nobody asks any more": ({"OK": "0+60x30 1800x60"}, False),
    "nobody has asked yet": ({}, False),
    "all is well": ({"OK": "0+60x90"}, False),
    "some fail": ({"OK": "0+60x90", "INTERNAL": "0+60x90"}, False),
    "one client asks wrongly, at night": ({"OK": "0+60x30 1800x60", "INVALID_ARGUMENT": "0+1x90"}, False),
    "all fail from now on": ({"OK": "0+60x30 1800x60", "UNAVAILABLE": "0x30 0+60x60"}, True),
    "all have failed since the start": ({"INTERNAL": "0+60x90"}, True),
    "the model has gone": ({"OK": "0+60x30 1800x60", "NOT_FOUND": "0x30 0+60x60"}, True),
}


def test_somebody_is_woken_when_all_that_come_fail_and_not_when_none_come(tmp_path):
    promtool = shutil.which("promtool") or pytest.skip("promtool is not there: tests/install-tools.sh installs it")
    (alert,) = [rule for rule in rules() if rule["alert"] == "TensorFlowServingNoAnswers"]
    fired = [{"exp_labels": alert["labels"], "exp_annotations": alert["annotations"]}]
    cases = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [
                {
                    "series": f':tensorflow:serving:request_count{{model_name="digits",status="{status}"}}',
                    "values": values,
                }
                for status, values in series.items()
            ],
            "alert_rule_test": [
                {"eval_time": "70m", "alertname": alert["alert"], "exp_alerts": fired if woken else []},
            ],
        }
        for name, (series, woken) in WOKEN.items()
    ]
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "monitoring" / "alerts.yml")], "tests": cases}))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_say_how_bad_and_what_it_means():
    assert len(rules()) >= 6
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description"}
    assert len({rule["alert"] for rule in rules()}) == len(rules())


def test_every_alert_is_in_the_page_for_those_who_are_woken():
    page = (DEPLOY.parents[1] / "docs" / "fleet.md").read_text()
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in page] == []


def test_prometheus_rule_has_the_same_alerts():
    path = DEPLOY / "k8s" / "components" / "monitoring" / "prometheusrule.yaml"
    assert yaml.safe_load(path.read_text())["spec"] == yaml.safe_load(
        (DEPLOY / "monitoring" / "alerts.yml").read_text()
    )


def test_relabelling_keeps_every_metric_that_is_looked_at():
    path = DEPLOY / "k8s" / "components" / "monitoring" / "servicemonitor.yaml"
    (rule,) = yaml.safe_load(path.read_text())["spec"]["endpoints"][0]["metricRelabelings"]
    kept = re.compile(rule["regex"])
    assert [name for name in {**COUNTERS, **HISTOGRAMS} if not kept.fullmatch(name)] == []


def test_dashboard_is_one_that_grafana_imports():
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["uid"]
    assert dashboard["schemaVersion"] >= 36
    identities = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identities)) == len(identities)
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24


def test_dashboard_s_panels_do_not_overlap():
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_grafana_finds_its_dashboard_and_prometheus():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    provisioning = DEPLOY / "monitoring" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "genline.yaml").read_text())["providers"]
    mounts = dict(volume.split(":")[:2][::-1] for volume in compose["grafana"]["volumes"])
    assert (DEPLOY / mounts[provider["options"]["path"]] / DASHBOARD.name).is_file()
    assert (DEPLOY / mounts["/etc/grafana/provisioning"]).is_dir()
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    mounts = dict(volume.split(":")[:2][::-1] for volume in compose["prometheus"]["volumes"])
    assert all((DEPLOY / path).is_file() for path in mounts.values() if path.startswith("./"))


def test_prometheus_scrapes_the_name_that_both_servers_go_by():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    scrape = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text())["scrape_configs"][0]
    (target,) = scrape["static_configs"][0]["targets"]
    for service in ("gpu", "cpu"):
        assert target.split(":")[0] in compose[service]["networks"]["default"]["aliases"]
        assert f"--rest_api_port={target.split(':')[1]}" in compose[service]["command"]
