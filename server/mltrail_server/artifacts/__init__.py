"""Where the bytes of files are kept. Their names are in the store."""
