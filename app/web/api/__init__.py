"""The routes below /api/v1, a module a subject. They translate: no rule and no SQL stands here."""
