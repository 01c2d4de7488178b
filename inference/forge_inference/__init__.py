"""Loads a checkpoint and answers over HTTP. Never imports forge_operator."""

__version__ = "0.1.0"
