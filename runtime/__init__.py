"""mho.runtime: executes a `Program`; knows no `Network` and no `Plan`."""
