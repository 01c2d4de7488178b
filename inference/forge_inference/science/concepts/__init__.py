"""Genes, variants, diseases, pathways, drugs and identifiers that a text names, by tables and grammars; no model."""
