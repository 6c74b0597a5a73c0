"""What each part of an estimate is, in words for a player, and how to shrink it."""

from __future__ import annotations

import msgspec


class PartWords(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an estimate: its name, what it is, and how to shrink it, a sentence each."""

    title: str
    what: str
    shrink: str


PART_WORDS: dict[str, PartWords] = {
    "weights": PartWords(
        title="Weights",
        what="The model itself: every number it learnt before you came, kept on the card all "
        "the time.",
        shrink="QLoRA holds them in 4 bits instead of 16, about a third of the size; or take a "
        "smaller model.",
    ),
    "adapter": PartWords(
        title="Adapter",
        what="The small matrices beside the model that LoRA and QLoRA train in its place.",
        shrink="Lower the rank: half the rank is half the adapter.",
    ),
    "gradients": PartWords(
        title="Gradients",
        what="For every number that learns, which way to move it after this step.",
        shrink="Let less learn: LoRA instead of full fine-tuning, or a lower rank. Full "
        "fine-tuning that never clips can use each up as it comes.",
    ),
    "optimizer": PartWords(
        title="Optimizer",
        what="AdamW's memory of earlier steps: two more numbers for every one that learns.",
        shrink="The 8-bit optimizer keeps a quarter of it; on a graphics card the paged one can "
        "move it to system memory when room is short.",
    ),
    "activations": PartWords(
        title="Activations",
        what="Results of every layer for the rows at hand, kept until the way back has used them.",
        shrink="Gradient checkpointing keeps only a few and computes the rest again; smaller "
        "micro-batches or shorter rows need fewer, and a card can keep them in system memory.",
    ),
    "logits": PartWords(
        title="Logits",
        what="A score for every word piece the model knows, at every place it learns from; the "
        "loss is made of them.",
        shrink="The studio makes them a piece at a time, so there is little to gain; smaller "
        "micro-batches help where they are short.",
    ),
    "attention": PartWords(
        title="Attention",
        what="What attention needs while every token looks at those before it.",
        shrink="Shorter rows: where attention is plain, half the length is a quarter of it.",
    ),
    "temporaries": PartWords(
        title="Working space",
        what="What one operation needs for a moment, such as a 4-bit layer unpacked to be "
        "computed with.",
        shrink="It follows the model's largest layer and the tokens at once: smaller "
        "micro-batches help a little.",
    ),
    "allocated": PartWords(
        title="All of the run's own",
        what="Everything above together, at the moment when most is needed.",
        shrink="Click a part to see what makes it smaller, or let the studio make it fit.",
    ),
    "slack": PartWords(
        title="Slack",
        what="Memory that torch has taken and can't hand out, since it lies in gaps between "
        "other things.",
        shrink="It grows and shrinks with the rest.",
    ),
    "context": PartWords(
        title="Driver and libraries",
        what="What torch and the driver take before the model is even loaded.",
        shrink="Nothing to do here: every program that computes on the card pays it once.",
    ),
    "others": PartWords(
        title="Other programs",
        what="What the desktop, the browser or a game hold of the card now.",
        shrink="Close what you don't need while the run goes on.",
    ),
    "reserve": PartWords(
        title="Reserve",
        what="What you keep free for the desktop; a run never counts on it.",
        shrink="Set it lower if nobody uses the machine meanwhile.",
    ),
}
