"""What an engine may be given to do (a job), and be told while it does it (a command)."""

from __future__ import annotations

import msgspec

from studio.core.mixing import Mix as Recipe


class Job(msgspec.Struct, frozen=True, kw_only=True, tag_field="job", tag=str.lower):
    """One piece of work for one engine process, as job.json in the job's folder."""


class Train(Job, frozen=True, kw_only=True):
    """Train the run of this folder (recipe.yaml and data/ lie beside job.json)."""

    resume: bool = False


class Chat(Job, frozen=True, kw_only=True):
    """Hold a conversation. Folders of a model and of adapters; the first is active.

    `bits` is how the base is held: "16", "4" (NF4), or "auto": in 4 only where 16 don't fit.
    """

    model: str
    adapters: tuple[str, ...] = ()
    dtype: str = "auto"
    bits: str = "auto"


class Merge(Job, frozen=True, kw_only=True):
    """Write base + adapter as a model folder.

    `onto` counts for adapters of QLoRA: the "original" 16-bit base, or the 4-bit one that they
    were "trained" on, written out in 16 bits; "auto" is the one that does better on held-out rows.
    """

    adapter: str
    out: str
    base: str
    dtype: str = "auto"
    onto: str = "auto"


class Mix(Job, frozen=True, kw_only=True):
    """Make one adapter of several of the same base, by the recipe `mix`.

    It becomes the folder `out`, or one of the library with the name `name`; with neither nothing
    is written. `score` also reads each adapter's held-out rows with every adapter and with the mix.
    Without `base` the adapter is neither checked nor scored.
    """

    mix: Recipe
    base: str = ""
    out: str = ""
    name: str = ""
    score: bool = False


class Export(Job, frozen=True, kw_only=True):
    """Write a model, or base + adapter, in a form that other programs read.

    `format` is one of core/exporting.py's, `model` the base of the adapter or, without one, what is
    exported itself. `dtype` and `quantization` are among those that the format names, `system` is a
    system prompt for formats that hold one, `onto` as in Merge. `check` is how much of the passport
    is taken: "full", "quick" or "none". `settings` is what else a format wants to know, by name.
    """

    format: str
    out: str
    model: str
    adapter: str = ""
    dtype: str = "auto"
    quantization: str = ""
    system: str = ""
    onto: str = "auto"
    check: str = "full"
    settings: dict[str, str] = {}


class Import(Job, frozen=True, kw_only=True):
    """Turn a GGUF file into a safetensors model folder."""

    source: str
    out: str
    name: str = ""


class Score(Job, frozen=True, kw_only=True):
    """Answer held-out rows with the bare model and with the adapter; count exact answers.

    `rows` is a jsonl file of chat rows whose last message is the answer wanted.
    """

    model: str
    rows: str
    adapter: str = ""
    limit: int = 0


class Measure(Job, frozen=True, kw_only=True):
    """Run real steps of the longest batch of the run folder's data, and report the peak."""

    steps: int = 2


class Serve(Job, frozen=True, kw_only=True):
    """Answer programs of this machine in OpenAI's way, for a model and adapters on it (folders).

    `port` 0 is the usual one, or another that is free; `bits` as for Chat.
    """

    model: str
    adapters: tuple[str, ...] = ()
    dtype: str = "auto"
    bits: str = "auto"
    port: int = 0


class Probe(Job, frozen=True, kw_only=True):
    """Look for cards that NVML can't see."""


AnyJob = Train | Chat | Merge | Mix | Export | Import | Score | Measure | Serve | Probe

OUTLIVES_CLIENT = (Train, Merge, Mix, Export, Import, Score, Probe)


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag=str.lower):
    """Told to a living engine; one line of the job folder's commands.jsonl."""


class Stop(Command, frozen=True, kw_only=True):
    """Finish the step, keep what was learnt, leave."""


class Cancel(Command, frozen=True, kw_only=True):
    """Leave; nothing needs keeping. In a conversation: stop this answer (`request`)."""

    request: str = ""


class Pause(Command, frozen=True, kw_only=True):
    """Finish the step, save a checkpoint, leave. `reason` is handed on to the event Paused."""

    reason: str = ""


class Save(Command, frozen=True, kw_only=True):
    """Save a checkpoint now and go on."""


class Sample(Command, frozen=True, kw_only=True):
    """Answer the fixed prompts now and go on."""


class Say(Command, frozen=True, kw_only=True):
    """One request of a conversation.

    `messages` are chat messages (role, content). `adapters` says whose answers are wanted,
    one a side; "" is the bare model. Empty means: the active adapter alone, or the bare model.
    Temperature 0 is greedy; `top_k` 0 leaves all tokens to choose from, `repetition_penalty` 1
    none less likely.
    """

    request: str
    messages: tuple[dict[str, str], ...]
    adapters: tuple[str, ...] = ()
    max_new_tokens: int = 256
    temperature: float = 0.7
    top_p: float = 0.95
    seed: int = 0
    top_k: int = 0
    repetition_penalty: float = 1.0


class Load(Command, frozen=True, kw_only=True):
    """Hold these adapters (folders), loading and dropping as needed; the base stays."""

    adapters: tuple[str, ...]


class Leave(Command, frozen=True, kw_only=True):
    """End the conversation."""


AnyCommand = Stop | Cancel | Pause | Save | Sample | Say | Load | Leave

job_decoder: msgspec.json.Decoder[AnyJob] = msgspec.json.Decoder(AnyJob)
command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
encode = msgspec.json.Encoder().encode
