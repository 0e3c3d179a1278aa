"""What the document cannot say, and what the tool cannot make of it.

Without this most commands would end at a header that is beside the point, and few would get as far as their payload.
"""

import uuid

import schemathesis
from schemathesis.generation.meta import TestPhase

# By operation: the last cursor that the API gave out.
CURSORS: dict[str, str] = {}
# By session: the last version that the API gave out.
ETAGS: dict[str, str] = {}


@schemathesis.hook
def before_call(context, case, kwargs):
    an_entity_tag_has_quotes(case)
    if case.meta is None or case.meta.generation.mode.is_positive:
        a_key_belongs_to_one_request(case.headers or {})
        a_cursor_comes_from_the_page_before(case.operation.label, case.query or {})


@schemathesis.hook
def after_call(context, case, response):
    session = session_of(case)
    if session is not None and "etag" in response.headers:
        ETAGS[session] = response.headers["etag"][0]
    if response.status_code == 200 and "next_cursor" in response.text:
        cursor = response.json().get("next_cursor")
        if cursor is not None:
            CURSORS[case.operation.label] = cursor


def session_of(case):
    return (case.path_parameters or {}).get("session_id")


def an_entity_tag_has_quotes(case):
    """The tool's coverage phase writes nothing but letters and digits into headers, whatever their pattern."""
    headers = case.headers or {}
    if case.meta is None or case.meta.phase.name is not TestPhase.COVERAGE:
        return
    # To touch the headers of a case that leaves Authorization out would bring it back.
    if case.meta.phase.data.parameter in ("If-Match", "Authorization"):
        return
    if headers.get("If-Match") == "0":
        headers["If-Match"] = ETAGS.get(session_of(case), "*")


def a_key_belongs_to_one_request(headers):
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = str(uuid.uuid4())


def a_cursor_comes_from_the_page_before(operation, query):
    if "cursor" not in query:
        return
    if operation in CURSORS:
        query["cursor"] = CURSORS[operation]
        query.pop("after", None)
    else:
        del query["cursor"]
