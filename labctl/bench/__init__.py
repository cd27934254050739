"""With what: bench files, capability contracts, and the drivers that fulfil them."""
