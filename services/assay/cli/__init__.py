"""The command line `assay`: one module per command; nothing heavy is imported before a command needs it."""
