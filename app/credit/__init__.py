"""What chains show becomes credit, and credit becomes visibility: policy, score, ranking.

Every point comes from an entry with a rule and evidence, every rule stands in a public, versioned
policy file, and the score is a pure function of entries, policy and time. This room finds nothing
by itself: findings reach it from above, records from below.
"""
