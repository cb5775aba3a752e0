"""python -m search.run space=conservative: one search, from its settings to its ranking."""

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from search.backend.base import Backend, connected_once
from search.backend.ray_tune import RayTune
from search.monitor.steps import Steps
from search.session.ended import ended_sentence, nothing_left, ranking_command
from search.session.interrupts import Interrupts
from search.session.process import run_process
from search.session.resume import resumes, storable, with_stored
from search.settings.help import help_for_search
from search.settings.masking import no_secret_told, refuse_secrets
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from trainable.cli.answers import Answer, answering
from trainable.cli.commands import INTERRUPTED
from trainable.cli.options import asks_for_help, expand_paths
from trainable.cli.started import as_started
from trainable.run_format import REPORT

KEPT = "the run folder is whole: python -m search.status shows how the search stands"


def main(argv: Sequence[str], backend: Callable[[SearchSettings], Backend] = RayTune) -> int:
    """Runs the search that the arguments describe; returns the exit status."""
    if asks_for_help(argv):
        help_for_search(argv)
        return 0
    with no_secret_told(), answering(argv) as (given, answer):
        refuse_secrets(given)
        words = expand_paths(SearchSettings, given)
        arguments = with_stored(words)
        settings = settings_from(arguments)
        if nothing_left(settings, lambda: _sha256(settings.space)):
            print(ended_sentence(settings.folder))
            if settings.report and not (settings.folder / REPORT).is_file():  # killed before it
                from search.session.finish import written_report

                print(written_report(settings.folder).plain)
            print(as_started(f"next  {ranking_command(settings.folder)}"))
            if answer.json:
                answer.value = _answer_of(settings.folder)
            return 0
        if resumes(words) and not settings.resume:
            print(f"Nothing of run {settings.run_name!r} had begun: it begins now.", flush=True)
        with backend(settings) as trainer, ExitStack() as loaded:
            return _search(settings, arguments, trainer, loaded, answer)


def _search(
    settings: SearchSettings,
    arguments: Sequence[str],
    trainer: Backend,
    loaded: ExitStack,
    answer: Answer,
) -> int:
    with Interrupts(at_once=True) as asked, Steps(sys.stdout) as steps:
        steps.begin(f"Reading the space {settings.space}")  # said before anything slow is imported
        from search.session.parts import read_parts
        from search.space.loading import load_space

        space = load_space(settings.space)
        parts = read_parts(settings)
        trainer.start()  # Ray starts while the imports below go on, which take as long
        steps.begin("Loading PyTorch")
        with _no_garbage_collection(), Interrupts() as meanwhile:  # an import would break
            from rich.console import Console

            from analysis.load import load_run
            from analysis.result import as_record, result_of
            from search.planning.plan import make_plan
            from search.planning.preview import as_record as as_record_of_plan
            from search.session.placebos import train_placebos
            from search.session.runner import open_session, preview
            from trainable.parts.registration import registered

        meanwhile.obey()
        loaded.enter_context(registered(parts))
        plan = make_plan(settings, space, parts=parts, say=steps.begin)
    asked.obey()
    console, words = Console(highlight=False, markup=False), storable(arguments)
    if settings.dry_run:
        answer.value = as_record_of_plan(*preview(plan, words, console))
        return 0
    if settings.placebo:
        trainer = loaded.enter_context(connected_once(trainer))
    with open_session(plan, words, console) as session:  # run folder, files and study
        session.train(trainer)  # until nothing is left, or Ctrl-C
        done = session.finish()  # tables, best model, ranking
    if answer.json:  # without a result other drivers go on, and the last of them answers with it
        plain = {"run": session.plan.settings.run_name, "folder": session.plan.settings.folder}
        answer.value = plain if done is None else as_record(result_of(done))
    if session.interrupted:
        return INTERRUPTED
    if settings.placebo and done is not None:  # else other drivers go on
        ended = train_placebos(session.plan, settings.placebo, words, trainer, console)
        if answer.json:  # the verdict tells of them
            answer.value = as_record(result_of(load_run(done.folder)))
        return 0 if ended else INTERRUPTED
    return 0


def _answer_of(folder: Path) -> dict[str, Any]:
    """Returns the result of a run that has ended, for JSON."""
    from analysis.load import load_run
    from analysis.result import as_record, result_of

    return as_record(result_of(load_run(folder)))


def _sha256(space: str) -> str:
    """Returns the check sum of a space, whose loading imports Optuna."""
    from search.space.loading import load_space

    return load_space(space).sha256


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Disables garbage collection while importing, which saves half a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(run_process(lambda: main(sys.argv[1:]), KEPT))
