"""What makes the built pages safe and quick: policy, first paint, the build itself."""
