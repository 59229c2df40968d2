"""The harness attacked: styles that cheat, processes that break, runs that are killed, and honest rows let through."""
