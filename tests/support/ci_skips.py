"""In CI a skipped test fails the run, but for the few reasons below: a missing tool must not pass unseen."""

from __future__ import annotations

import os

import pytest

# What a machine without a Docker engine cannot show; the same files are checked there without one.
ACCEPTED = ("neither docker compose nor docker-compose is there",)


def unexpected_skips(config: pytest.Config) -> list[str]:
    """The skipped tests that no accepted reason excuses, as `test: reason`."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    skips = [
        (report.nodeid, str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr))
        for report in reports
    ]
    return [f"{test}: {reason}" for test, reason in skips if not any(accepted in reason for accepted in ACCEPTED)]


def is_judge(config: pytest.Config) -> bool:
    """True in CI, in the process that sees every report: not in a worker of pytest-xdist."""
    return os.environ.get("CI") == "true" and not hasattr(config, "workerinput")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if is_judge(session.config) and session.exitstatus == 0 and unexpected_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = unexpected_skips(config) if is_judge(config) else []
    if skips:
        terminalreporter.section("skipped in CI, where nothing may be missing", red=True)
        for line in skips:
            terminalreporter.line(line)
