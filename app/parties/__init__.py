"""Who acts: identities, licences, roles, keys and mandates of merchants, carriers, authorities.

This room knows how a party proves who it is and what it may therefore do. It knows nothing of
products, codes or credit; those rooms ask it "may this party send that?" and take its answer.
"""
