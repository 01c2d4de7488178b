"""Makes, checks and reconciles the Kubernetes objects that serve ScientificModels. Never imports forge_inference."""
