"""The wpward command line."""
