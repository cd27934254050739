"""What differs between the models: addresses, bits and enumerations, as data.

Sources: 3200 handbook HA028651 issue 7 pp. 81-82 and issue 11 p. 41 (registers, status bits, sensor break),
series 2000 communications handbook HA026230 issue 3 (frames, exceptions, silent discards).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """Registers of one model, addresses as in the PDU.

    live: first of the block process value, target setpoint, manual output, working output, working setpoint.
    status: status word; bit_*: masks in it. The names of the others are the handbook's functions.
    sensor_break_safe: numbers of the sensor-break types in which the output goes to its safe value.
    ramp_per_minute: number of the ramp unit "per minute". units_c: number of the unit degC.
    unverified: what of this nobody has confirmed on hardware.
    """

    title: str
    live: int
    status: int
    bit_manual: int
    bit_sensor_break: int
    bit_over_range: int
    bit_remote_fail: int
    select: int
    timer: int
    sp1: int
    remote_setpoint: int
    safe_output: int
    rate: int
    version: int
    type_code: int
    limit_high: int
    limit_low: int
    manual: int
    remote: int
    units: int
    decimals: int
    ramp_units: int
    sensor_break_type: int
    sensor_break_safe: Mapping[int, str]
    ramp_per_minute: int
    units_c: int
    unverified: tuple[str, ...]

    @property
    def manual_output(self) -> int:
        """Output in manual, writable there."""
        return self.live + 2

    @property
    def working_output(self) -> int:
        """What the heater is given."""
        return self.live + 3

    @property
    def writable(self) -> frozenset[int]:
        """All that this driver ever writes. The instrument mode (199) can destroy calibration: never."""
        return frozenset(
            (
                self.manual_output,
                self.select,
                self.timer,
                self.sp1,
                self.remote_setpoint,
                self.rate,
                self.manual,
                self.remote,
            )
        )


PROFILES: Mapping[str, Profile] = {
    "3216": Profile(
        title="Eurotherm 3216, 3208 or 3204",
        live=1,
        status=75,
        bit_manual=1 << 4,
        bit_sensor_break=1 << 5,
        bit_over_range=1 << 10,
        bit_remote_fail=1 << 14,
        select=15,
        timer=23,
        sp1=24,
        remote_setpoint=26,
        safe_output=34,
        rate=35,
        version=107,
        type_code=122,
        limit_high=111,
        limit_low=112,
        manual=273,
        remote=276,
        units=516,
        decimals=525,
        ramp_units=531,
        sensor_break_type=578,
        sensor_break_safe={1: "on", 2: "latching"},
        ramp_per_minute=0,
        units_c=0,
        unverified=(
            "remote setpoint falls back to SP1 about 5 s after its last write",
            "register 2 shows the remote setpoint while it is selected",
            "register 34 is the output on sensor break",
            "outputs and ramp rate have the display's decimal places",
            "numbers of the enumerations 516 (0 = degC), 531 (0 = per minute) and 578 (0 = off)",
            "remote setpoint is lost at power-off, so that SP1 holds after power returns",
            "the ramp starts at the process value when the loop goes to automatic",
        ),
    ),
}
"""By the name that benches use in the option `profile`."""
