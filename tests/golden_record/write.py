"""Writes the golden record anew, all of it or the tests that are named by pytest's own options, such as -k performance.

It is rewritten only when behaviour changes on purpose, and the change of the record then says which: read its diff before it is kept.
"""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    tests = Path(__file__).parents[1]
    sys.path.insert(0, str(tests))
    from helpers.golden_runs import REWRITE

    os.environ |= {REWRITE: "1", "DRUMVAE_REQUIRE_GMD": "1"}  # nothing is left as it was without a word
    sys.exit(pytest.main([str(tests / "test_golden_record.py"), *sys.argv[1:]]))
