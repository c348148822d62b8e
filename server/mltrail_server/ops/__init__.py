"""What operators and their machines ask for."""
