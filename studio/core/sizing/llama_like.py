"""The shapes of architectures that are built like Llama, from their fields and traits."""

from __future__ import annotations

from studio.core.sizing.families import Traits
from studio.core.sizing.fields import Fields
from studio.core.sizing.shapes import Linear, Role, Shapes, Tensor


class LlamaLike:
    """Decoder layers of attention and a feed-forward part, norms, embeddings and lm_head."""

    def __init__(self, kind: str, fields: Fields, traits: Traits) -> None:
        self.kind, self.fields, self.traits = kind, fields, traits
        self.hidden = fields.whole("hidden_size")
        self.heads = fields.whole("num_attention_heads")
        self.layers = fields.whole("num_hidden_layers")
        self.intermediate = fields.whole("intermediate_size")
        self.vocabulary = fields.whole("vocab_size")
        self.kv_heads = fields.optional("num_key_value_heads") or self.heads
        named = fields.optional(traits.head_dim) if traits.head_dim else 0
        self.head_dim = named or self.hidden // self.heads
        self.tied = fields.flag("tie_word_embeddings")
        self.phi = kind == "phi"
        self.qk_norm = traits.qk_norm
        if fields.flag("qk_layernorm"):
            self.qk_norm = "head" if self.phi else "each"
        self.parallel = self.phi or fields.flag("use_parallel_residual")
        self.norms = 1 if kind == "stablelm" and self.parallel else traits.norms
        self._read_experts()

    def shapes(self) -> Shapes:
        """All of it."""
        fields, traits = self.fields, self.traits
        return Shapes(
            kind=self.kind,
            hidden=self.hidden,
            intermediate=self.intermediate,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            vocabulary=self.vocabulary,
            tied=self.tied,
            linears=(*self._attention(), *self._feed_forward()),
            others=(*self._norms(), *self._experts(), *self._ends()),
            gated=traits.gated,
            activation=fields.text(traits.activation) or "silu",
            fused_qkv=traits.fused,
            fused_gate=traits.fused,
            norm=traits.norm,
            norms=self.norms,
            qk_norm=self.qk_norm,
            parallel=self.parallel,
            rotary=int(self.head_dim * fields.rotary_share()),
            context=fields.optional("max_position_embeddings"),
            windows=self._windows(),
            attention_cap=fields.number("attn_logit_softcapping"),
            logits_cap=fields.number("final_logit_softcapping"),
            scaled_embeddings=traits.scaled_embeddings,
            head_bias=self.phi,
            embedding_dropout=fields.number("embd_pdrop"),
            attention_dropout=fields.number("attention_dropout"),
            residual_dropout=fields.number("resid_pdrop") or fields.number("hidden_dropout"),
            experts=self.experts,
            experts_per_token=fields.optional("num_experts_per_tok") if self.experts else 0,
            expert_intermediate=self.expert_width if self.experts else 0,
            shared_intermediate=self.shared if self.sparse else 0,
            sparse_layers=self.sparse,
        )

    def _read_experts(self) -> None:
        """Mixtral's layers are all sparse, Qwen's every nth unless listed as dense."""
        fields, layers = self.fields, self.layers
        self.experts = self.expert_width = self.shared = self.sparse = 0
        if self.traits.experts == "mixtral":
            self.experts, self.sparse = fields.whole("num_local_experts"), layers
            self.expert_width = self.intermediate
        elif self.traits.experts == "qwen":
            # transformers 5 writes it under the other name
            self.experts = fields.optional("num_local_experts") or fields.optional("num_experts")
            self.expert_width = fields.whole("moe_intermediate_size")
            if self.kind == "qwen2_moe":
                self.shared = fields.whole("shared_expert_intermediate_size")
            dense = set(fields.several("mlp_only_layers") or ())
            step = fields.whole("decoder_sparse_step")
            places = [n for n in range(layers) if n not in dense and (n + 1) % step == 0]
            self.sparse = len(places) if self.experts else 0

    def _linear(
        self, name: str, inputs: int, outputs: int, role: Role, bias: bool | str, count: int
    ) -> Linear:
        has_bias = self.fields.flag(bias) if isinstance(bias, str) else bias
        return Linear(
            module=self.traits.modules.get(name, name),
            inputs=inputs,
            outputs=outputs,
            role=role,
            bias=has_bias,
            count=count,
        )

    def _attention(self) -> list[Linear]:
        query, key = self.heads * self.head_dim, self.kv_heads * self.head_dim
        sides = {"q_proj": query, "k_proj": key, "v_proj": key}
        if self.traits.fused:
            sides = {"qkv_proj": query + 2 * key}
        bias, hidden = self.traits.qkv_bias, self.hidden
        found = [
            self._linear(name, hidden, outputs, "attention", bias, self.layers)
            for name, outputs in sides.items()
        ]
        out = self._linear("o_proj", query, hidden, "attention", self.traits.out_bias, self.layers)
        return [*found, out]

    def _feed_forward(self) -> list[Linear]:
        found = self._mlp(self.intermediate, self.layers - self.sparse)
        if self.sparse and self.shared:
            gate = self._linear("shared_expert_gate", self.hidden, 1, "gate", False, self.sparse)
            found += [*self._mlp(self.shared, self.sparse), gate]
        return found

    def _mlp(self, width: int, count: int) -> list[Linear]:
        if not count:
            return []
        bias, hidden = self.traits.mlp_bias, self.hidden
        if self.traits.fused:
            inner = {"gate_up_proj": 2 * width}
        else:
            inner = {"gate_proj": width, "up_proj": width} if self.traits.gated else {}
            inner = inner or {"up_proj": width}
        found = [
            self._linear(name, hidden, outputs, "mlp", bias, count)
            for name, outputs in inner.items()
        ]
        return [*found, self._linear("down_proj", width, hidden, "mlp", bias, count)]

    def _norms(self) -> list[Tensor]:
        """A norm has a weight, a LayerNorm (but OLMo's) a bias too."""
        names = ("weight", "bias")[: self.traits.norm_values]
        found = [
            Tensor(name=f"norm.{name}", shape=(self.hidden,), count=self.norms * self.layers + 1)
            for name in names
        ]
        return found + self._qk_norms()

    def _qk_norms(self) -> list[Tensor]:
        if self.qk_norm == "all":
            sides = (self.heads * self.head_dim, self.kv_heads * self.head_dim)
            return [Tensor(name="qk_norm.weight", shape=(n,), count=self.layers) for n in sides]
        if self.qk_norm == "each":
            count = self.layers * (self.heads + self.kv_heads)
            return [Tensor(name="qk_norm.weight", shape=(self.head_dim,), count=count)]
        names = ("weight", "bias")[: self.traits.norm_values] if self.qk_norm else ()
        shape = (self.head_dim,)
        return [Tensor(name=f"qk_norm.{n}", shape=shape, count=2 * self.layers) for n in names]

    def _experts(self) -> list[Tensor]:
        """All experts of a layer are one tensor for each product; the router is no linear layer."""
        if not self.sparse:
            return []
        number, width, count = self.experts, self.expert_width, self.sparse
        shapes = {
            "experts.gate_up_proj": (number, 2 * width, self.hidden),
            "experts.down_proj": (number, self.hidden, width),
            "router.weight": (number, self.hidden),
        }
        return [Tensor(name=name, shape=shape, count=count) for name, shape in shapes.items()]

    def _ends(self) -> list[Tensor]:
        """Embeddings, and lm_head unless it is the embeddings; Phi's has a bias in any case."""
        whole = (self.vocabulary, self.hidden)
        found = [Tensor(name="embed_tokens.weight", shape=whole)]
        if not self.tied:
            found.append(Tensor(name="lm_head.weight", shape=whole))
        if self.phi:
            found.append(Tensor(name="lm_head.bias", shape=(self.vocabulary,)))
        return found

    def _windows(self) -> tuple[int, ...]:
        """Which layers see only the last so many tokens."""
        fields, layers, rule = self.fields, self.layers, self.traits.windows
        window = fields.optional("sliding_window")
        if not window or not rule:
            return ()
        listed = fields.several("layer_types")
        if listed is not None and rule != "all":
            return tuple(window if kind == "sliding_attention" else 0 for kind in listed)
        match rule:
            case "pattern":
                pattern = fields.optional("sliding_window_pattern") or layers + 1
                return tuple(window if (n + 1) % pattern else 0 for n in range(layers))
            case "upper" | "odd" if not fields.flag("use_sliding_window"):
                return ()
            case "upper":
                first = fields.optional("max_window_layers")
                return tuple(window if n >= first else 0 for n in range(layers))
            case "odd":
                last = fields.optional("max_window_layers")
                return tuple(window if (n + 1) % 2 and n < last else 0 for n in range(layers))
        if self.traits.experts == "qwen" and not fields.flag("use_sliding_window"):
            return ()
        return (window,) * layers
