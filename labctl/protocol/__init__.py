"""What to do: the protocol language, and the plan it is resolved into."""
