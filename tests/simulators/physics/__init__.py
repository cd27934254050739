"""What the models of the plant promise, against the published and derived figures."""
