"""What clients speak beside OpenAI's chat: each protocol is translated to a chat's request, and its answer back."""
