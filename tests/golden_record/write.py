"""Rewrites the golden record: all of it, or the tests selected by pytest's own options, such as -k performance.

Rewrite it only after an intended change of behaviour. The diff of the record shows the change: read it before you commit.
"""

import os
import sys
from pathlib import Path

import pytest

if __name__ == "__main__":
    tests = Path(__file__).parents[1]
    sys.path.insert(0, str(tests))
    from helpers.golden_runs import REWRITE

    os.environ |= {REWRITE: "1", "DRUMVAE_REQUIRE_GMD": "1"}  # a missing data set fails instead of skipping its test
    sys.exit(pytest.main([str(tests / "test_golden_record.py"), *sys.argv[1:]]))
