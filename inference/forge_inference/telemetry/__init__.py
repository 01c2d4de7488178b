"""What is counted, measured and logged. Never a prompt, never an answer."""
