"""A pytest plugin for CI: a test with one of the marks in DRUMVAE_REQUIRED_MARKS fails where it would be skipped."""

import os
from collections.abc import Generator

import pytest

REQUIRED = set(os.environ.get("DRUMVAE_REQUIRED_MARKS", "").split())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Refuses a test suite in which a required mark has no test at all; runs before -m selects some of them."""
    present = {mark.name for item in items for mark in item.iter_markers()}
    if REQUIRED - present:
        raise pytest.UsageError(f"no test is marked {', '.join(sorted(REQUIRED - present))}")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turns a module that skips itself as a whole into an error: its marks cannot be known."""
    report = yield
    if REQUIRED and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped as a whole"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turns the skip of a required test into a failure that keeps its reason; an expected failure stays one."""
    report = yield
    marks = REQUIRED & {mark.name for mark in item.iter_markers()}
    if report.skipped and marks and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"a test marked {', '.join(sorted(marks))} was skipped: {report.longrepr}"
    return report
