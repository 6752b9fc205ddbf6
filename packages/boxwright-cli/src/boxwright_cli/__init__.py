"""The command line of boxwright."""
