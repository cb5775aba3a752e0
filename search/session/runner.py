"""One search, from its plan to its ranking."""

from collections.abc import Sequence

from rich.console import Console

from analysis.load import Run
from search.backend.cluster import check_nodes, connect
from search.backend.local_ray import LocalRay
from search.backend.ray_tune import tune_cohorts
from search.backend.workers import open_place, reaching
from search.monitor.progress import Progress
from search.planning.plan import Plan
from search.planning.preview import show_plan
from search.scheduling.controller import LATE
from search.session import provenance
from search.session.assembly import open_folder, open_session, open_study, slots_here
from search.session.finish import finish, going_on, part
from search.session.interrupts import Interrupted, Interrupts
from search.session.observer import SearchObserver
from search.session.resume import resume_command, storable


def run_search(
    plan: Plan, arguments: Sequence[str] | None, console: Console, head: LocalRay
) -> Run | None:
    """Searches and leaves a run folder; None for a dry run, and where other drivers go on.

    An interrupted search writes its tables too; its `run.json` says so. Of several drivers the last
    one writes them.

    Args:
        plan: of the search.
        arguments: of the command line; None from Python.
        console: to print to.
        head: our own Ray, which may be starting already.

    Raises:
        UserError: nothing could be started, and nothing is left behind; or a file cannot be
            written, and all that was reported before is kept.
        Interrupted: the search was interrupted, and other drivers go on.
    """
    settings = plan.settings
    words = None if arguments is None else storable(arguments)
    if settings.dry_run:
        with (
            open_folder(settings, words) as folder,
            folder.discard_on_error(),
        ):
            with open_place(settings, folder.driver, folder.gone):
                pass
            folder.discard()  # it could have been made, that is all
        show_plan(plan, console, slots_here(settings))
        return None
    interrupted = None
    with (
        open_folder(settings, words) as folder,
        folder.discard_on_error(),
        open_place(settings, folder.driver, folder.gone) as place,
        Interrupts() as interrupts,
    ):

        def hasty() -> bool:
            return interrupted is not None or interrupts.asked is not None

        if folder.resumed:
            provenance.check_same(plan, folder.path)
        show_plan(plan, console)
        run = provenance.describe(plan, words) | provenance.sessions(folder.path)
        with open_study(plan, folder) as study:
            with (
                connect(settings.address, head, settings.open_cluster) as cluster,
                open_session(plan, folder, cluster, study, place, hasty) as session,
            ):
                interrupts.listen()
                if settings.address is not None:
                    check_nodes(settings, session.workers)
                # Whose the seconds by reason are.
                run["device"] = "gpu" if session.workers.gpus else "cpu"
                folder.begin(run)
                with Progress(console) as progress:
                    watch = SearchObserver(plan, session, progress, interrupts, cluster, folder)
                    try:
                        tune_cohorts(session.driver, plan.dataset, session.workers, watch)
                    except Interrupted as error:
                        interrupted = error
                    finally:
                        watch.show()
                if watch.without_gpu is not None:
                    run["device"] = "cpu"
                run["alone"] = session.driver.seating.notes  # why shapes trained as cohorts of one
            parting = part(study, folder, console, hasty)
            if parting.others and interrupts.asked is not None:  # as it waited for the tables
                interrupted = interrupted or Interrupted(interrupts.asked)
            if interrupted is None and not (parting.over or parting.others or parting.written):
                session.driver.end_left(LATE)  # by drivers whose time was out
            resume = None
            if interrupted is not None:
                resume = resume_command(settings.run_name, settings.runs_dir, words)
            if parting.others or parting.written:
                said = going_on(parting, folder, resume)
                console.print(said, soft_wrap=True)  # a command to copy
                if interrupted is not None:
                    raise interrupted
                return None
            results, references = session.results, session.references
            with reaching(place):
                return finish(
                    plan, folder, place, study, results, session.finalists, references, run,
                    console, resume,
                )  # fmt: skip
