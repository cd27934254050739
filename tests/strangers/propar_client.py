"""The maker's own client, in a process of its own: it leaves threads running, so the process ends by force.

python -m tests.strangers.propar_client PORT NODE binary|ascii
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import propar


def converse(instrument: Any) -> dict[str, Any]:
    """Read, write and be refused, as its documentation shows."""
    db = instrument.db
    chain = db.get_parameters([8, 9, 12, 25, 28, 129, 205, 206])
    return {
        "serial": instrument.readParameter(92),
        "model": instrument.readParameter(91),
        "fluid": instrument.readParameter(25),
        "unit": instrument.readParameter(129),
        "capacity": instrument.readParameter(21),
        "mode": instrument.readParameter(12),
        "set mode": instrument.writeParameter(12, 18),
        "mode then": instrument.readParameter(12),
        "set half": instrument.writeParameter(9, 16000),
        "setpoint": instrument.setpoint,
        "fsetpoint": instrument.readParameter(206),
        "set dle": instrument.writeParameter(9, 0x1010),
        "setpoint dle": instrument.setpoint,
        "set float": instrument.writeParameter(206, 229.0),
        "measure": instrument.measure,
        "chain": {p["dde_nr"]: p["data"] for p in instrument.read_parameters(chain)},
        "chained writes": instrument.write_parameters(
            [dict(p, data=d) for p, d in zip(db.get_parameters([9, 10]), (8000, 0), strict=True)]
        ),
        "setpoint then": instrument.setpoint,
        "set too much": instrument.writeParameter(9, 32001),
        "set measure": instrument.write_parameters([dict(db.get_parameter(8), data=1)]),
        "no such parameter": instrument.read_parameters([dict(db.get_parameter(22))])[0]["status"],
        "no such node": instrument.master.read_parameters([dict(db.get_parameter(8), node=9)])[0]["status"],
        "many": [instrument.readParameter(9) for _ in range(300)] == [8000] * 300,
    }


def main(port: str, node: str, mode: str) -> None:
    """Print what the conversation gave, as JSON."""
    instrument = propar.instrument(port, address=int(node))
    if mode == "ascii":
        instrument.master.propar.mode = propar.PP_MODE_ASCII
    print(json.dumps(converse(instrument)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
