"""What calls cost as the work that a server holds grows."""
