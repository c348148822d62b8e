"""What operators and their monitoring request."""
