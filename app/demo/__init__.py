"""`suxin demo`: a throw-away deployment with sixty days of made-up, realistic trade.

Made by the real services under a clock of its own, from a seed; nothing is written past them but
the one record that is altered at the end, for the audit to find.
"""

from app.demo.deployment import Built, build, demo_deployment, demo_settings

__all__ = ["Built", "build", "demo_deployment", "demo_settings"]
