"""Loads a checkpoint and answers over HTTP. Never imports forge_operator."""
