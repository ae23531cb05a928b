"""What generates: a remote endpoint now, other engines beside it later."""
