"""The draw page: draw a digit in the browser, see what the network sees, and save drawings to teach it."""
