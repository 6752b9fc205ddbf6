"""The runtime of the pages. This module imports nothing: the build reads it, too."""

PACKAGE = "onnxruntime-web@1.30.0"
"""The npm package."""
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
"""The files of its folder ``dist`` that a page contains, with their SHA-256."""
