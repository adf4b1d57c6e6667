"""The pool of arms: its file, its rules, which arms may answer, and their health."""
