"""python -m forge_inference.calibrate: what a confidence of 0.8 means, measured on questions whose answers are known.

Knows the server by HTTP alone, so that what is measured is what is served; and the shape of a question.
"""
