"""python -m forge_inference.load: offers requests to a model server and measures what a user would notice.

Knows servers by HTTP only: no torch, no engine, nothing of `web`. Run it against ours or any that speaks OpenAI's API.
"""
