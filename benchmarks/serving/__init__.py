"""What the service gives under load, beside its peers and beside servers that do nothing: `make bench`."""
