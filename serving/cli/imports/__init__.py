"""`highwayman import`: configurations and logs of other programs, made into ours."""
