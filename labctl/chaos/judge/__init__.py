"""What judges a trial: an observer of truth, bytes and words, with its own numbers, decoders and rules."""
