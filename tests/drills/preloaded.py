"""The last that the server of forks imports: its children's collector passes over all that came before.

Else each of a service's processes walks over the frameworks' objects once more when it starts, and
copies the memory that it would share.
"""

from app.kit.collector import spare_what_stays

spare_what_stays()
