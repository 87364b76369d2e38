"""What is asked from outside of where blocks stand: constraints, placement files, the tiles of an old program."""
