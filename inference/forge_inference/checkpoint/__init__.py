"""Reads what a trainer left on disk, and refuses it before anything is loaded. No torch, but in `effect`."""
