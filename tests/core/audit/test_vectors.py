"""A small signed log that does not change: whoever writes another verifier can start with it.

``vectors/`` holds three segments, the checkpoints of two keys (``audit.pub`` is the first; the log
hands over to the second), a proof of one record, and what a verifier has to find.
"""

import json
import sys
from pathlib import Path

import pytest
from rampart.audit.note import parse_public_keys
from rampart.audit.prove import check_proof
from rampart.audit.verify import verify_log

sys.path.insert(
    0, str(Path(__file__).parent)
)  # WHY: importlib mode puts no test folder on the path
import second_verifier

sys.path.pop(0)

VECTORS = Path(__file__).with_name("vectors")
EXPECTED = json.loads((VECTORS / "expected.json").read_text())


@pytest.fixture
def keys():
    return parse_public_keys((VECTORS / "audit.pub").read_text())


def test_the_log_that_others_start_with_verifies(keys):
    found = verify_log(VECTORS, keys=keys, must_be_signed=True)
    assert found.verdict == "ok"
    assert {name: getattr(found, name) for name in EXPECTED if name != "proof"} == {
        name: value for name, value in EXPECTED.items() if name != "proof"
    }
    assert second_verifier.verify(VECTORS, [str(key) for key in keys]) == (
        EXPECTED["records"],
        EXPECTED["signed"],
        EXPECTED["root"],
    )


def test_the_proof_that_others_start_with_verifies(tmp_path):
    """It is signed by the second key, which the log's own checkpoints lead to."""
    proof = (VECTORS / "record.tlog-proof").read_bytes()
    lines = [path.read_bytes().splitlines() for path in sorted(VECTORS.glob("audit-*.jsonl"))]
    records = [json.loads(line) for part in lines for line in part]
    keys = parse_public_keys(
        "\n".join(record["key"] for record in records if record["type"] == "key")
    )
    proven = check_proof(proof, keys)
    assert (proven.index, proven.record["id"]) == (
        EXPECTED["proof"]["index"],
        EXPECTED["proof"]["id"],
    )
    assert second_verifier.check_proof(proof, [str(key) for key in keys]) == proven.record
