"""Oversight: audits, findings and deadlines. What chains show becomes findings; credit follows them."""
