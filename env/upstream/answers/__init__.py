"""What an answer says and how it ends, read from its bytes."""
