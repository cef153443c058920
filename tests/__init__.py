"""Tests of pytest-oauthcontrols."""
