"""What a stranger does with a BTS 8.0 server: aurora-neware as its users use it. Prints what it saw as JSON.

python aurora_client.py PORT STEP_FILE
"""

import json
import sys
import time

from aurora_neware import NewareAPI  # type: ignore[import-untyped]

port, step_file = int(sys.argv[1]), sys.argv[2]
with NewareAPI("127.0.0.1", port) as api:
    seen = {"channels": len(api.channel_map), "idle": api.getchlstatus("21-1-2")["21-1-2"]["status"]}
    seen["all"] = len(api.inquire())
    seen["start"] = api.start("21-1-2", "a stranger's cell", step_file)[0]["start"]
    seen["working"] = api.inquire("21-1-2")["21-1-2"]
    time.sleep(1.0)  # hundreds of seconds of the cell
    data = api.download("21-1-2", last_n_points=0)
    seen["rows"], seen["last"] = len(data["seqid"]), {name: column[-1] for name, column in data.items()}
    seen["test"] = api.get_testid("21-1-2")["21-1-2"]["test_id"]
    seen["steps"] = api.get_steps("21-1-2")
    seen["log"] = [entry["log_code"] for entry in api.downloadlog("21-1-2")]
    seen["light"] = api.light("21-1-2")[0]["light"]
    seen["clearflag"] = api.clearflag("21-1-2")[0]["clearflag"]
    try:
        api.start("21-1-2", "again", step_file)
    except ValueError as error:
        seen["again"] = str(error)
    seen["stop"] = api.stop("21-1-2")[0]["stop"]
with NewareAPI("127.0.0.1", port) as api:
    seen["after"] = api.inquire("21-1-2")["21-1-2"]["workstatus"]
print(json.dumps(seen))
