"""What stops the harness, in words that say what to do."""


class HarnessError(Exception):
    """Something failed, or is missing on this machine; the message says what and how to get it."""


class NoClusterError(HarnessError):
    """This machine cannot have a cluster, for whatever reason. Tests that need one are skipped."""
