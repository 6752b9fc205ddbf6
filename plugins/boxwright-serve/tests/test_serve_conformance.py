from boxwright_serve.conformance import TestServe as TestServe
