"""What a person can ask the studio to do: verbs shared by the window and the command line."""

from studio.client.actions.chatting import Conversation, need_for, open_chat
from studio.client.actions.datasets import (
    CHARACTERS,
    TOKENS,
    build_from_chats,
    build_from_folder,
    copy_dataset,
)
from studio.client.actions.doctor import Finding, diagnose
from studio.client.actions.estimating import (
    Estimated,
    estimate,
    may_be_recipe,
    model_facts,
    read_config,
)
from studio.client.actions.exporting import export, export_job, push
from studio.client.actions.jobs import Outcome, run_job, wait
from studio.client.actions.measuring import measure
from studio.client.actions.merging import free_out, merge, model_folder
from studio.client.actions.mixing import ingredients, mix, mix_problems
from studio.client.actions.models import (
    download_model,
    import_folder,
    import_gguf,
    import_model,
)
from studio.client.actions.parts import install_parts
from studio.client.actions.queueing import enqueue, follow_queue
from studio.client.actions.quickstart import quickstart
from studio.client.actions.recipes import (
    Checked,
    check,
    examine,
    load,
    machine_now,
    refusal,
)
from studio.client.actions.runs import (
    end_of_log,
    follow_run,
    prepare_run,
    resume_run,
    start_run,
    tell_run,
)
from studio.client.actions.scoring import score
from studio.client.actions.serving import serve, serving_job
from studio.client.actions.starter import download_starter
from studio.client.cancelled import Cancelled, Fault

__all__ = [
    "CHARACTERS",
    "TOKENS",
    "Cancelled",
    "Checked",
    "Conversation",
    "Estimated",
    "Fault",
    "Finding",
    "Outcome",
    "build_from_chats",
    "build_from_folder",
    "check",
    "copy_dataset",
    "diagnose",
    "download_model",
    "download_starter",
    "end_of_log",
    "enqueue",
    "estimate",
    "examine",
    "export",
    "export_job",
    "follow_queue",
    "follow_run",
    "free_out",
    "import_folder",
    "import_gguf",
    "import_model",
    "ingredients",
    "install_parts",
    "load",
    "machine_now",
    "may_be_recipe",
    "measure",
    "merge",
    "mix",
    "mix_problems",
    "model_facts",
    "model_folder",
    "need_for",
    "open_chat",
    "prepare_run",
    "push",
    "quickstart",
    "read_config",
    "refusal",
    "resume_run",
    "run_job",
    "score",
    "serve",
    "serving_job",
    "start_run",
    "tell_run",
    "wait",
]
