"""mho compiles neural networks to machines of analog tiles."""
