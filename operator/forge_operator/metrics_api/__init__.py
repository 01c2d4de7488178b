"""The custom.metrics.k8s.io server: a process of its own that asks model pods and tells autoscalers.

No Kopf, nothing of reconciling: it writes nothing but its own certificate and the authorities that prove it.
"""
