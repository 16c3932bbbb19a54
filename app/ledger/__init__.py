"""Streams of bytes, one transparency log over them, and the proofs. Knows no event, party or product."""
