"""Where events come in: Kopf's watches, the kubelet's probes, the start and the end of the process."""
