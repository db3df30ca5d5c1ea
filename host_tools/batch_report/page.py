"""The page: figures and plots in one HTML file that needs nothing else."""

from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import keystead
from host_tools.batch_report import plots, scale
from host_tools.batch_report.figures import Figures, quantile
from host_tools.flash.failure import REMEDIES

_ROWS = 200  # boards that need somebody, in the table
_REASONS = 12


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
        number=scale.written, seconds=scale.seconds, day=_day, moment=_moment
    )
    environment.globals["share"] = scale.share
    name, over_time = (
        plots.over_time(figures.done, figures.lost)
        if figures.done or figures.lost
        else ("Boards per hour", None)
    )
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
        troubled=figures.troubled[:_ROWS],
        untold=max(0, len(figures.troubled) - _ROWS),
    )


def _rate(figures: Figures) -> float | None:
    """Return good boards per hour in which any was made, None if there were too few hours."""
    hours = {at.replace(minute=0, second=0, microsecond=0) for at in figures.done}
    return len(figures.done) / len(hours) if len(hours) > 1 else None


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
