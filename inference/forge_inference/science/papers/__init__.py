"""Reading a paper: what rules find in it, and what a model is asked of it. Each finding says which of the two it is."""
