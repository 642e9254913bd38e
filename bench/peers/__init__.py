"""What `bench/compare_peers` is made of: cases, the rounds that run them, and the arithmetic of the targets."""
