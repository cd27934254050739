"""The pages under docs/ that are made from the code, and the test that they are not stale."""
