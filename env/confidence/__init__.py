"""What an answer itself tells of whether it is good: signals, one file each, read before anybody sees the answer."""
