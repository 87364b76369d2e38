"""Studies: one network under many settings, run on all cores or on a cluster, gathered in one table."""
