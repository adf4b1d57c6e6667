"""Assertions of the shared check are told as those of tests are."""

import pytest

pytest.register_assert_rewrite("tests.faults.audit")
