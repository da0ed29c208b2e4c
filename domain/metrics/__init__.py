"""What the service measures of itself: the instruments, and the list of all of them."""
