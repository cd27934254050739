"""What a published client of New Era pumps makes of the one behind a serial port, in both modes: nesp-lib."""

import json
import sys

from nesp_lib import (  # type: ignore[import-not-found]  # lives in .venv-bench
    Port,
    Pump,
    PumpingDirection,
    Status,
)

said: dict[str, dict[str, object]] = {}
with Port(sys.argv[1], 19200) as port:
    for mode, seconds in (("safe", 20), ("basic", 0)):
        pump = Pump(port, safe_mode_timeout_s=seconds)
        pump.syringe_diameter_mm = 26.59
        pump.pumping_direction = PumpingDirection.INFUSE
        pump.pumping_volume_ml = 0.1
        pump.pumping_rate_ml_per_min = 6.0
        pump.volume_infused_clear()
        pump.run()
        said[mode] = {
            "model": pump.model_number,
            "firmware": pump.firmware_version,
            "diameter": pump.syringe_diameter_mm,
            "safe_s": pump.safe_mode_timeout_s,
            "volume": pump.pumping_volume_ml,
            "rate": round(pump.pumping_rate_ml_per_min, 6),
            "infused": pump.volume_infused_ml,
            "stopped": pump.status is Status.STOPPED,
        }
        try:
            pump.pumping_rate_ml_per_min = 50.0
        except ValueError:
            said[mode]["too fast"] = True
        # a heartbeat thread keeps safe mode alive; basic mode ends it
        pump.safe_mode_timeout_s = 0
print(json.dumps(said))
