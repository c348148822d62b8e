"""What is in `deploy/`: checked by parsers, and run as far as it can be without containers."""
