"""A plan run on the simulated twin of its bench: for real, with a record on disk, or coarsely, as a forecast."""

from labctl.forecast.coarse import Forecast, ForecastError, StepForecast, forecast
from labctl.forecast.rehearsal import Rehearsal

__all__ = ["Forecast", "ForecastError", "Rehearsal", "StepForecast", "forecast"]
