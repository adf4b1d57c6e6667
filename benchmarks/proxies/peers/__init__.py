"""One file for each proxy that is measured: whether it is installed, and how it is started."""
