"""The only room that touches the cluster: reads, writes, and what can go wrong with them."""
