"""`suxin bench`: how fast this machine is, against ceilings of the same run.

Everything runs on throw-away deployments in a temporary folder, made by the real services and filled
with made-up trade; all load goes to the loopback address and is bounded in count and time.
What a figure means, and how it is measured, stands in docs/bench.md.
"""
