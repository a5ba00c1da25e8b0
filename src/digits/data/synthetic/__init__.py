"""Images that we draw: digits as people write them around the world, and non-digits."""
