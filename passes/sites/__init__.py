"""What the sites of a machine's chips offer around faults, and which tiles go where there is room."""
