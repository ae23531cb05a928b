"""Where raw dataset files come from."""
