"""What labctl promises, as tests that mirror its rooms."""
