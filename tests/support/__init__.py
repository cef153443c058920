"""What several test modules need: nothing here tests, and no test module imports from another."""
