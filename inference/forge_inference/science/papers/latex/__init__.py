"""Papers as LaTeX. Nothing is run, no other file is read; every character knows its place in the LaTeX."""
