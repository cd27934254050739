"""What only a browser can tell. Deselected unless asked for: `make test-browser`."""
