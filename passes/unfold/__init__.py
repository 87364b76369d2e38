"""How convolutions meet the tiles: grouped ones whole, in blocks or digital, and the windows that are unfolded."""
