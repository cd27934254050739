"""Byte pumps between a session and the world: in process, over TCP, over a pseudo terminal."""
