"""The resource: its types, how a body becomes one, and the CRD made from them. Knows no cluster."""
