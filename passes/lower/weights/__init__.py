"""Constants: what lies between an initializer and a layer, read as a lazy recipe."""
