"""The conformance tests that every boxwright plugin has to pass."""
