"""The services, each a function from a recorded request to an answer; none of them does I/O."""
