"""What stops the harness, in words that say what to do."""


class HarnessError(Exception):
    """Something is missing on this machine; the message says what and how to get it."""
