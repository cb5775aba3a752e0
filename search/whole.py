"""One search, from its plan to its ranking."""

from collections.abc import Sequence

from rich.console import Console

from analysis.load import Run
from search import provenance
from search.arguments import resume_command, storable
from search.cluster import check_nodes, connect
from search.finish import finish
from search.folder import RunFolder
from search.head import Head
from search.interrupt import Interrupts
from search.overture import show_plan
from search.plan import Plan
from search.progress import Progress
from search.session import open_session, open_study, slots_here
from search.tuning import Interrupted, tune_cohorts
from search.watch import Watch
from search.workers import open_place


def run_search(
    plan: Plan, arguments: Sequence[str] | None, console: Console, head: Head
) -> Run | None:
    """Searches and leaves a run folder; None for a dry run.

    An interrupted search writes its tables too; its `run.json` says so.

    Args:
        plan: of the search.
        arguments: of the command line; None from Python.
        console: to print to.
        head: our own Ray, which may be starting already.

    Raises:
        UserError: nothing could be started, and nothing is left behind; or a file cannot be
            written, and all that was reported before is kept.
    """
    settings = plan.settings
    if settings.dry_run:
        with RunFolder.create(settings.runs_dir, settings.run_name, settings.resume) as folder:
            with open_place(settings):
                pass
            folder.discard()  # it could have been made, that is all
        show_plan(plan, console, slots_here(settings))
        return None
    resume = None
    with (
        RunFolder.create(settings.runs_dir, settings.run_name, settings.resume) as folder,
        folder.worth_keeping(),
        Interrupts() as interrupts,
    ):
        if folder.resumed:
            provenance.check_same(plan, folder.path)
        show_plan(plan, console)
        words = None if arguments is None else storable(arguments)
        run = provenance.describe(plan, words) | provenance.sessions(folder.path)
        with (
            open_place(settings) as place,
            open_study(plan, folder) as study,
            connect(settings.address, head, settings.open_cluster) as cluster,
            open_session(plan, folder, cluster, study, place) as session,
        ):
            interrupts.listen()
            if settings.address is not None:
                check_nodes(place, session.workers.cpus, session.workers.gpus)
            # Whose the seconds by reason are.
            run["device"] = "gpu" if session.workers.gpus else "cpu"
            folder.write_json("run.json", run)
            with Progress(console) as progress:
                watch = Watch(plan, session, progress, interrupts, cluster, folder)
                try:
                    tune_cohorts(
                        session.driver, plan.dataset, session.workers, watch.tick, watch.failed,
                        watch.on_cpu,
                    )  # fmt: skip
                except Interrupted:
                    resume = resume_command(
                        settings.run_name, settings.runs_dir, from_python=arguments is None
                    )
                finally:
                    watch.show()
            if watch.without_gpu is not None:
                run["device"] = "cpu"
            run["alone"] = session.driver.seating.notes  # why shapes trained as cohorts of one
        results, references = session.results, session.references
        study = session.study
        return finish(plan, folder, place, study, results, references, run, console, resume)
