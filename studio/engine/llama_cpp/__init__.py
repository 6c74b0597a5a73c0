"""llama.cpp, from an optional part: runs GGUF files, renders their templates, quantizes them."""
