"""Laws of commands: a missing extra is named with the command that installs it."""

import sys

import pytest

from drumvae.util.command import require_extra
from drumvae.util.errors import RunError


def test_an_installed_module_is_accepted_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    require_extra("Reading", "zen", "this")
    assert "this" not in sys.modules


@pytest.mark.parametrize("blocked", [True, False], ids=["blocked", "absent"])
def test_the_error_names_the_activity_the_module_and_the_extra(monkeypatch: pytest.MonkeyPatch, blocked: bool) -> None:
    if blocked:
        monkeypatch.setitem(sys.modules, "no_such_module", None)
    with pytest.raises(RunError, match=r"^Scoring needs no_such_module, .*pip install 'drumvae\[evaluate\]'$"):
        require_extra("Scoring", "evaluate", "sys", "no_such_module")
