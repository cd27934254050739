"""New Era NE-1000 syringe pumps."""

from labctl_drivers.new_era.driver import ENTRY

__all__ = ["ENTRY"]
