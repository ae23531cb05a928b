"""Tests with real engines and models: gigabytes, so `make test-engines` alone collects them."""

import os

collect_ignore_glob = [] if os.environ.get("ASSAY_TEST_ENGINES") else ["test_*.py"]
