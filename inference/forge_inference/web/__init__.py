"""HTTP. Knows the engine by its contract only."""
