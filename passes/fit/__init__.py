"""Why a network does not fit its machine, and what would change that."""
