"""What a rule or a table can say about scientific text. Pure libraries: no torch, no transformers, no HTTP."""
