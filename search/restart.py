"""What an earlier driver left of a search: its reports, its running trials, its seeds."""

from search.driver import Driver
from search.study import SEARCHED, Asked


def take_up(driver: Driver) -> None:
    """Lets a driver, which has done nothing yet, go on where an earlier one ended or was killed."""
    study, judge, results, seating = driver.study, driver.judge, driver.results, driver.seating
    rows = study.rows()
    for row in rows:
        params = row.params
        if row.state == "RUNNING" and "train/epochs" in params:
            params = {**params, "train/epochs": driver.epochs}
        driver.enter(Asked(row.number, params, row.kind, row.seed, row.parent))
        driver.roster.cohorts = max(driver.roster.cohorts, row.facts.get("cohort") or 0)
        if row.kind in SEARCHED and row.reason is not None:
            driver.reasons[row.reason] += 1
    batches = list(results.batches())
    reports = [report for batch in batches for report in batch]
    for report in reports:
        driver.courses.count(report)
    verdicts = judge.restore(batches)
    for report in reports:  # those kept that a killed driver had not stored yet
        study.report(report.number, report.epoch, judge.objective(report.number, report.epoch))
    for row in rows:
        if row.state != "RUNNING":
            continue
        verdict = verdicts.get(row.number)
        if verdict is not None and verdict.ends:
            driver.end(row.number, verdict)
        else:
            seating.wait(row.number)
    for row in study.rows():
        if row.state == "COMPLETE" and row.kind in SEARCHED:
            driver.add_seeds(driver.courses[row.number].asked)
