"""The page: figures and plots in one HTML file that needs nothing else."""

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import keystead
from host_tools.batch_report import plots, scale
from host_tools.batch_report.figures import Figures, quantile
from host_tools.flash.failure import REMEDIES
from host_tools.flash.shortened import short_names
from host_tools.printable import counted

_ROWS = 200  # of a table of boards
_REASONS = 12
_PORT = 8  # characters of a port that a narrow screen has room for


def render(figures: Figures, made: datetime) -> str:
    """Return the page; made: when, UTC."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=scale.written, counted=counted, seconds=scale.seconds, day=_day, moment=_moment
    )
    environment.globals["share"] = scale.share
    name, over_time = (
        plots.over_time(figures.done, figures.lost)
        if figures.done or figures.lost
        else ("Attempts per hour", None)
    )
    ports, shared = _ports(figures)
    return environment.get_template("report.html").render(
        figures=figures,
        version=keystead.__version__,
        made=made,
        strip=plots.states(figures),
        failures=plots.failures(figures.reasons[:_REASONS]) if figures.reasons else None,
        remedies=REMEDIES,
        steps=plots.steps(figures.steps) if figures.steps else None,
        whole=plots.whole(figures.whole) if figures.whole else None,
        typical=quantile(figures.whole, 0.5) if figures.whole else None,
        over_time=over_time,
        over_time_name=name,
        rate=_rate(figures),
        rows=_ROWS,
        ports=ports,
        shared=shared,
    )


def _ports(figures: Figures) -> tuple[dict[str, str], str]:
    """Return each port's short name, and the beginning that they do without: all share it."""
    ports = sorted({port for station in figures.stations for port in station.ports})
    if not ports:
        return {}, ""
    names = dict(zip(ports, short_names(ports, _PORT), strict=True))
    return names, ports[0].removesuffix(names[ports[0]])


def _rate(figures: Figures) -> float | None:
    """Return good attempts per hour in which there was any, None if there were too few hours."""
    hours = {at.replace(minute=0, second=0, microsecond=0) for at in figures.done}
    return len(figures.done) / len(hours) if len(hours) > 1 else None


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
