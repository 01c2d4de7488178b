"""Real clusters for tests and for the demo, also where no container image can be pulled.

`python -m tests.harness --help` lists the commands. Nothing here is imported by the product.
"""
