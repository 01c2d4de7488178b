"""Texts as they were sent, what is read of them, and the way back to every character."""
