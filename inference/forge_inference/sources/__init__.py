"""Fetches a checkpoint or a base model from where it is kept: hf://, s3://, https:// archives, oci:// artefacts.

A program of its own (`python -m forge_inference.sources`), run before the server starts. No torch, no web framework.
"""
