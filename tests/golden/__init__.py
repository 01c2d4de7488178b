"""Compares text with a reviewed file; REFRESH_GOLDEN=1 writes the file instead."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def matches_golden(path: Path, text: str) -> bool:
    """Whether the file has exactly this text."""
    if os.environ.get("REFRESH_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path.exists() and path.read_text(encoding="utf-8") == text
