"""The group `depth`: the gradient of a deep, narrow network, microseconds a layer."""
