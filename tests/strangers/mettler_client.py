"""What a published client of Mettler Toledo balances makes of the one behind a serial port: mettler-toledo-device."""

import json
import sys
import time

from mettler_toledo_device import (  # type: ignore[import-not-found]  # lives in .venv-bench
    MettlerToledoDevice,
)

balance = MettlerToledoDevice(port=sys.argv[1])
# this client reads one line within 50 ms; an answer that takes longer is none to it
balance._serial_device.timeout = 3.0
said = {
    "serial number": balance.get_serial_number(),
    "data": balance.get_balance_data(),
    "level": balance.get_mtsics_level()[0],
    "weight": balance.get_weight(),
    "stable": balance.get_weight_stable(),
    "zero at rest": balance.zero_stable(),
    "zero": balance.zero(),
}
time.sleep(0.2)
said["then"] = balance.get_weight()
print(json.dumps(said))
