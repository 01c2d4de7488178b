"""What is seen of a model, and what that means for its owner. Pure: the clock is an argument."""
