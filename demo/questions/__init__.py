"""What is asked, and when an answer to it is right."""
