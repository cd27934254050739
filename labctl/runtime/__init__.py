"""Where the core meets the world: clocks, instrument I/O, the controller's loop."""
