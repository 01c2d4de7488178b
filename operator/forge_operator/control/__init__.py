"""What decides: a cache of the cluster, a queue of models to look at, and one reconcile."""
