"""mho.examples: networks to compile, and the trained network of the demo."""
