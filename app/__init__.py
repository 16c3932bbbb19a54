"""Suxin 溯信: product traceability whose history nobody can rewrite unseen."""

__version__ = "0.1.0"
