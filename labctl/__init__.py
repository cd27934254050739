"""labctl: synthesis orchestration and instrument control for materials laboratories."""
