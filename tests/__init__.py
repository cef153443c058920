"""Tests of pytest-oauthcontrols, and in `support` what several of them need."""

import pytest

# An assertion that fails there shows its values, as one in a test does.
pytest.register_assert_rewrite("tests.support")
