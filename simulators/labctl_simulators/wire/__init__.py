"""Sans-I/O sessions: bytes in, timed bytes out, by codecs that the drivers do not share."""
