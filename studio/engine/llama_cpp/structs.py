"""The structures of llama.h that are passed by value, as the pinned build has them.

`check` compares their defaults with what the library says, so that a build of another layout is
refused instead of called wrongly.
"""

from __future__ import annotations

import ctypes as c
from typing import Any

F32, F16, COUNT = 0, 1, 43
"""ggml_type: two of them, and the number that stands for none."""


def _fields(**kinds: str) -> list[tuple[str, Any]]:
    types = {"u": c.c_uint32, "i": c.c_int32, "f": c.c_float, "p": c.c_void_p, "b": c.c_bool}
    types["z"] = c.c_size_t
    return [(name, types[kind]) for kind, names in kinds.items() for name in names.split()]


class ModelParams(c.Structure):
    """llama_model_params."""

    _fields_ = (
        _fields(p="devices tensor_buft_overrides")
        + _fields(i="n_gpu_layers split_mode load_mode lazy_mode main_gpu")
        + _fields(p="tensor_split progress_callback progress_callback_user_data kv_overrides")
        + _fields(b="vocab_only check_tensors use_extra_bufts no_host no_alloc load_mtp")
    )


class ContextParams(c.Structure):
    """llama_context_params."""

    _fields_ = (
        _fields(u="n_ctx n_batch n_ubatch n_seq_max n_rs_seq n_outputs_max n_outputs_max_per_seq")
        + _fields(i="n_threads n_threads_batch ctx_type rope_scaling_type pooling_type")
        + _fields(i="attention_type flash_attn_type")
        + _fields(f="rope_freq_base rope_freq_scale yarn_ext_factor yarn_attn_factor")
        + _fields(f="yarn_beta_fast yarn_beta_slow", u="yarn_orig_ctx")
        + [("defrag_thold", c.c_float)]
        + _fields(p="cb_eval cb_eval_user_data", i="type_k type_v", z="moe_cache_size")
        + _fields(p="abort_callback abort_callback_data")
        + _fields(b="embeddings offload_kqv no_perf op_offload swa_full kv_unified")
        + [("samplers", c.c_void_p), ("n_samplers", c.c_size_t), ("ctx_other", c.c_void_p)]
    )


class QuantizeParams(c.Structure):
    """llama_model_quantize_params."""

    _fields_ = (
        _fields(i="nthread ftype output_tensor_type token_embedding_type")
        + _fields(b="allow_requantize quantize_output_tensor only_copy pure keep_split dry_run")
        + _fields(p="imatrix kv_overrides tt_overrides prune_layers", z="max_buf_size")
    )


class ImportanceData(c.Structure):
    """llama_model_imatrix_data; one without a name ends a list of them."""

    _fields_ = (("name", c.c_char_p), ("data", c.POINTER(c.c_float)), ("size", c.c_size_t))


class Batch(c.Structure):
    """llama_batch."""

    _fields_ = [
        ("n_tokens", c.c_int32),
        ("token", c.POINTER(c.c_int32)),
        ("embd", c.c_void_p),
        ("pos", c.POINTER(c.c_int32)),
        ("n_seq_id", c.POINTER(c.c_int32)),
        ("seq_id", c.POINTER(c.POINTER(c.c_int32))),
        ("logits", c.POINTER(c.c_int8)),
    ]


DEFAULTS: dict[type[c.Structure], dict[str, object]] = {
    ModelParams: {
        "n_gpu_layers": -1, "split_mode": 1, "main_gpu": 0, "kv_overrides": None,
        "vocab_only": False, "check_tensors": False, "use_extra_bufts": True, "load_mtp": False,
    },
    ContextParams: {
        "n_ctx": 512, "n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "attention_type": -1,
        "yarn_beta_slow": -1.0, "yarn_orig_ctx": 0, "defrag_thold": -1.0, "cb_eval": None,
        "type_k": F16, "type_v": F16, "embeddings": False, "offload_kqv": True,
        "op_offload": True, "swa_full": True, "kv_unified": False, "n_samplers": 0,
    },
    QuantizeParams: {
        "nthread": 0, "output_tensor_type": COUNT, "token_embedding_type": COUNT,
        "allow_requantize": False, "quantize_output_tensor": True, "only_copy": False,
        "dry_run": False, "imatrix": None, "max_buf_size": 8 << 30,
    },
}  # fmt: skip


def differing(found: c.Structure) -> list[str]:
    """The fields in which the library's own defaults aren't what this layout makes of them."""
    wanted = DEFAULTS[type(found)]
    return [name for name, value in wanted.items() if getattr(found, name) != value]
