"""Rules that are judged while a file is read and a plan is bound: what they are for. Where they are found is code.

Source: the language itself, unless said otherwise.
"""

from __future__ import annotations

from labctl.protocol.rules.core import Rule

LANGUAGE_SOURCE = "the protocol language"
BENCH_SOURCE = "the bench file"

_ERRORS = {
    "FILE-001": "A protocol is the name of one that is known, or the path of a file.",
    "FILE-002": "A file must be readable.",
    "YAML-001": "What is not YAML cannot be read any further.",
    "YAML-002": "Tags make objects of text; a protocol is plain values.",
    "YAML-003": "What an anchor and its aliases say stands elsewhere, and ten of them can fill a memory.",
    "YAML-004": "A merge key hides what a block says; `extends` and `include` show it.",
    "YAML-005": "Of a key that is written twice, one would be ignored without a word.",
    "YAML-006": "A megabyte is a thousand times what a synthesis needs.",
    "YAML-007": "Nothing in the language nests more than 32 levels deep.",
    "YAML-008": "A file is UTF-8 text.",
    "YAML-009": "A number beyond what a computer counts is a slip of the finger.",
    "YAML-010": "One file holds one document: a second would not be read.",
    "YAML-011": "A control character commands a terminal, or shows what is not written.",
    "YAML-012": "No synthesis has 15,000 values: reading them would take a second.",
    "SCH-001": "A key that nothing reads would be a wish that nobody carries out.",
    "SCH-002": "Without it the block says too little.",
    "SCH-003": "The value is not one that may stand there.",
    "SCH-004": "Where thousands of things are wrong, the first thousand is told.",
    "SCH-005": "A name is a word: one with slashes or two dots could lead out of the folder.",
    "QTY-001": "A quantity has a number and a unit of its own kind: 40 could be degrees of three sorts.",
    "STEP-002": "A step is of one kind.",
    "STEP-003": "Steps are found again by their ids.",
    "STEP-004": "Two steps at once share no instrument and no chamber.",
    "STEP-005": "What safety rests on is never left out.",
    "STEP-006": "A step waits for steps before it.",
    "STEP-007": "A step is for a sample that the protocol declares.",
    "COND-001": "A condition asks for a signal that an instrument has.",
    "COND-002": "A condition asks for a value that was entered before.",
    "COND-003": "What is decided upon was decided before.",
    "PAR-001": "A parameter that is given must be declared.",
    "PAR-002": "Without a default, somebody must give it.",
    "PAR-003": "A parameter stays within its bounds.",
    "PAR-004": "A reference must refer to a parameter.",
    "PAR-007": "Long values that are referred to very often would fill the memory.",
    "ROLE-001": "Steps name roles that the protocol declares.",
    "ROLE-002": "A role wants a capability that instruments have.",
    "ROLE-003": "A step works with instruments that can do it.",
    "BIND-001": "A role needs an instrument of the bench.",
    "BIND-007": "What no driver offers yet cannot be planned, however well it is written.",
    "BIND-008": "A leak is told by the oxygen that comes in with it.",
    "BIND-002": "Of several able instruments one must be the default: which one is no matter of luck.",
    "BIND-003": "What is heated, washed or opened is a chamber.",
    "BIND-004": "Gas protects the chamber that it flows through.",
    "BIND-005": "A purge is judged by volumes of its tube.",
    "BIND-006": "What would never end cannot be planned.",
    "INC-001": "What is included or extended must exist.",
    "INC-002": "A file that includes itself never ends.",
    "INC-003": "Parts and protocols are called by name; a path could lead anywhere.",
    "INC-004": "One name means one thing in a whole protocol.",
    "INC-005": "Parts in parts and repeats in repeats could fill a memory.",
    "EXT-001": "What is changed or removed must be there.",
    "EXT-002": "A change says one thing.",
    "MIX-006": "A substance that no rule understands would switch rules off without a word.",
    "RCP-001": "Reagents and products are formulae of elements with atomic weights.",
    "RCP-002": "Purity, density and the like must be physically possible.",
    "RCP-003": "Every amount of a recipe follows from something, once.",
    "RCP-004": "A recipe balances: elements and charge.",
    "RCP-005": "Somebody must know what to weigh for a product: a recipe tells, or the protocol says there is none.",
    "RCP-006": "What is weighed or dispensed is a reagent of a recipe, or is given with its amount.",
    "BIND-009": "A pump gives no more than its syringe holds.",
}

_WARNINGS = {
    "PAR-005": "A parameter that nothing uses promises what it does not keep.",
    "SAFE-006": "An instrument with an unverified item does not heat until it was commissioned (safety contract).",
}

_NOTES = {
    "PAR-006": "What the source does not say is confirmed by the person who runs it: an error on a real bench.",
    "FUR-013": "The paper does not say how long it pyrolysed: an error on a real bench until it is confirmed.",
    "EXP-001": "Results are judged against published values for these parameters only.",
}

_BENCH = {
    "BENCH-001": "An instrument needs a driver that is installed.",
    "BENCH-002": "An instrument plays only what its driver can.",
    "BENCH-003": "Capabilities have names of their own.",
    "BENCH-004": "An instrument belongs to a chamber that the file describes.",
    "BENCH-005": "An address leads over a link that the driver speaks.",
    "BENCH-006": "An option that the driver does not know would be a wish that nobody carries out.",
    "BENCH-007": "A supply feeds instruments of the bench.",
    "BENCH-008": "A bench is real or simulated: half of each would energise what nobody looks at.",
    "BENCH-009": "Two instruments at one address answer for each other.",
    "BENCH-010": "A safe-state item that does not exist makes nothing safe.",
    "BENCH-011": "A guard that does not exist guards nothing.",
    "BENCH-012": "A bench may tighten a limit, never loosen it.",
    "BENCH-013": "A protective signal is read where it is wired.",
    "BENCH-014": "A calibration is due on a day.",
    "BENCH-015": "A guard needs the measured figure that it judges by.",
    "BENCH-016": "A site may tighten a rule, or waive with reason and name what may be waived (safety contract 6).",
    "BENCH-017": "Several runs share an oven, and nothing else.",
    "BENCH-020": "A chamber without a required protection is not run.",
}


def _of(table: dict[str, str], severity: str, source: str) -> list[Rule]:
    return [Rule(id, severity, rationale, source, waive="never") for id, rationale in table.items()]


LANGUAGE = (
    *_of(_ERRORS, "error", LANGUAGE_SOURCE),
    *_of(_WARNINGS, "warning", LANGUAGE_SOURCE),
    *_of(_NOTES, "info", LANGUAGE_SOURCE),
    *_of(_BENCH, "error", BENCH_SOURCE),
)
"""Every such rule, and how serious it is at most on a simulated bench."""
