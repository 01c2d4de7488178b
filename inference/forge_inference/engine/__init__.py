"""What generates. One thread owns the model; nothing here knows HTTP."""
