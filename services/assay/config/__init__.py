"""The user's file: EvalScope's format in, a resolved run out; every rule of admission."""
