"""A program of its own: holds requests for models that have no pod, wakes them, and passes the requests on.

It learns from EndpointSlices alone which of its ports is which model, and where ready pods are. It knows no Kopf.
"""
