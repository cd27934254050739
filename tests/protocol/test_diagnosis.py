import json

from labctl.protocol.diagnosis import nearest
from labctl.protocol.editor import bench_json_schema, protocol_json_schema
from labctl.protocol.schema import KINDS


def test_the_nearest_name_is_offered_or_all_when_they_are_few() -> None:
    assert nearest("furnce", ["furnace", "oven"]) == "did you mean furnace?"
    assert nearest("xyz", ["furnace", "oven"]) == "valid: furnace, oven"
    assert nearest("xyz", []) is None


def test_editors_get_json_schemas_of_both_languages() -> None:
    protocol = protocol_json_schema()
    assert json.loads(json.dumps(protocol)) == protocol
    step = protocol["$defs"]["WrittenStep"]["properties"]
    assert set(KINDS) < set(step)
    assert "with" in protocol["$defs"]["WrittenHeat"]["properties"]
    assert protocol["$defs"]["WrittenStir"]["properties"]["speed"]["type"] == "string"
    roles = protocol["else"]["properties"]["roles"]["additionalProperties"]
    assert "tube_furnace" in json.dumps(roles)
    assert set(bench_json_schema()["properties"]) >= {"bench", "instruments", "chambers"}
