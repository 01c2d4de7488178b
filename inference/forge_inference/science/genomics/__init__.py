"""Questions about genes: what the model is asked, and what of its answer the given text supports. Calls no model."""
